// A stub of the RustDesk client for Windows: its configuration, command line, service and installer, and nothing else.
//
// It connects nobody to anybody. What it does with the configuration is what the real one does (version 1.4.9): read once,
// kept in memory, the whole file written at the end; the service's own copy in LocalService's profile; management commands
// only when installed, silent when refused, exit status always 0. Commands of the stub's own begin with --stub-.
#include "settings.h"
#include "text.h"
#include "version.h"

#include <shlobj.h>

#include <mutex>
#include <thread>

using lab::narrow;
using lab::print;
using lab::widen;

namespace {

constexpr wchar_t service_name[] = L"RustDesk";
constexpr wchar_t pipe_name[] = L"\\\\.\\pipe\\RustDesk\\query";
constexpr wchar_t quit_event[] = L"Local\\RustDeskStubQuit";
constexpr wchar_t uninstall_key[] = L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\RustDesk";
constexpr char public_server[] = "rs-ny.rustdesk.com";
constexpr char refusal[] = "Installation and administrative privileges required!\n";
constexpr DWORD seconds = 1000;

std::wstring service_profile() { return lab::expand(L"%SystemRoot%\\ServiceProfiles\\LocalService\\AppData\\Roaming"); }
std::wstring user_profile() { return lab::expand(L"%APPDATA%"); }

std::wstring own_path() {
    wchar_t path[MAX_PATH];
    GetModuleFileNameW(nullptr, path, MAX_PATH);
    return path;
}

// The configuration of one profile, in memory since the process started.
class Client {
  public:
    explicit Client(const std::wstring &profile)
        : settings_path_(profile + L"\\RustDesk\\config\\RustDesk2.toml"),
          identity_path_(profile + L"\\RustDesk\\config\\RustDesk.toml"),
          settings_(stub::Settings::read(settings_path_)),
          identity_(stub::Identity::read(identity_path_)) {
        if (identity_.id.empty()) identity_.id = made_up_id();
    }

    void store() const {
        stub::write_file(settings_path_, settings_.text());
        stub::write_file(identity_path_, identity_.text());
    }

    void adopt(const std::string &settings, const std::string &identity) {
        settings_ = stub::Settings::parse(settings);
        identity_ = stub::Identity::parse(identity);
    }

    std::string server() const {
        const auto own = settings_.option("custom-rendezvous-server");
        return own.empty() ? public_server : own;
    }

    // One request of another process of the client; any change stores the whole file.
    std::string answer(const std::vector<std::string> &request) {
        const auto at = [&](size_t i) { return i < request.size() ? request[i] : std::string(); };
        if (at(0) == "id") return identity_.id;
        if (at(0) == "get") return settings_.option(at(1));
        if (at(0) == "settings") return settings_.text();
        if (at(0) == "identity") return identity_.text();
        if (at(0) == "set") {
            settings_.set_option(at(1), at(2));
        } else if (at(0) == "password") {
            identity_.password = at(1);
        }
        store();
        return "Done!";
    }

  private:
    static std::string made_up_id() {
        wchar_t name[64];
        DWORD length = 64;
        GetComputerNameW(name, &length);
        unsigned hash = 2166136261u;
        for (const char c : narrow(name)) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
        return std::to_string(100000000 + hash % 900000000);
    }

    std::wstring settings_path_, identity_path_;
    stub::Settings settings_;
    stub::Identity identity_;
};

std::vector<std::string> split(const std::string &text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == '\0') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

std::string joined(const std::vector<std::string> &parts) {
    std::string out;
    for (const auto &part : parts) out += (out.empty() ? std::string() : std::string(1, '\0')) + part;
    return out;
}

// Asks the running service; nothing when there is none.
std::optional<std::string> ask(const std::vector<std::string> &request) {
    const std::string sent = joined(request);
    std::string answer(65536, '\0');
    DWORD got = 0;
    if (!CallNamedPipeW(pipe_name, const_cast<char *>(sent.data()), static_cast<DWORD>(sent.size()), answer.data(),
                        static_cast<DWORD>(answer.size()), &got, 2 * seconds))
        return std::nullopt;
    answer.resize(got);
    return answer;
}

std::string ask_or_do(const std::vector<std::string> &request) {
    if (const auto answer = ask(request)) return *answer;
    return Client(user_profile()).answer(request);
}

// Which server the client would turn to as it starts: with it, a test sees a first contact that should not have been.
void note_contact(const char *role, const std::string &server) {
    const std::wstring path = lab::expand(L"%ProgramData%\\rustdesk-stub\\contacts.log");
    stub::write_file(path, stub::read_file(path) + role + " " + server + "\n");
}

// --- Service ---------------------------------------------------------------------------------------------------------

HANDLE stopping;
SERVICE_STATUS_HANDLE status_handle;

void report(DWORD state) {
    SERVICE_STATUS status{};
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    SetServiceStatus(status_handle, &status);
}

DWORD WINAPI control(DWORD code, DWORD, void *, void *) {
    if (code == SERVICE_CONTROL_STOP || code == SERVICE_CONTROL_SHUTDOWN) {
        report(SERVICE_STOP_PENDING);
        SetEvent(stopping);
    }
    return NO_ERROR;
}

HANDLE open_pipe() {
    return CreateNamedPipeW(pipe_name, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, PIPE_UNLIMITED_INSTANCES,
                            65536, 65536, 0, nullptr);
}

void serve(Client &client, std::mutex &guard) {
    for (HANDLE pipe = open_pipe(), next; pipe != INVALID_HANDLE_VALUE; pipe = next) {
        const bool connected = ConnectNamedPipe(pipe, nullptr) || GetLastError() == ERROR_PIPE_CONNECTED;
        // Before this one ends: who asks in between must not find nobody there.
        next = open_pipe();
        std::string request(65536, '\0');
        DWORD got = 0;
        if (connected && ReadFile(pipe, request.data(), static_cast<DWORD>(request.size()), &got, nullptr)) {
            request.resize(got);
            const std::lock_guard lock(guard);
            const std::string answer = client.answer(split(request));
            DWORD written = 0;
            WriteFile(pipe, answer.data(), static_cast<DWORD>(answer.size()), &written, nullptr);
            FlushFileBuffers(pipe);
        }
        DisconnectNamedPipe(pipe);
        CloseHandle(pipe);
    }
}

void WINAPI service_main(DWORD, wchar_t **) {
    stopping = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    status_handle = RegisterServiceCtrlHandlerExW(service_name, control, nullptr);
    report(SERVICE_START_PENDING);
    static Client client(service_profile());
    static std::mutex guard;
    note_contact("service", client.server());
    std::thread(serve, std::ref(client), std::ref(guard)).detach();
    // Not before it answers: who starts the service may ask it at once.
    for (int tries = 100; tries > 0 && !WaitNamedPipeW(pipe_name, 50); tries--) Sleep(10);
    report(SERVICE_RUNNING);
    WaitForSingleObject(stopping, INFINITE);
    {
        const std::lock_guard lock(guard);
        client.store();
    }
    report(SERVICE_STOPPED);
}

void run_service() {
    wchar_t name[] = L"RustDesk";
    const SERVICE_TABLE_ENTRYW table[] = {{name, service_main}, {nullptr, nullptr}};
    StartServiceCtrlDispatcherW(table);
}

bool stop_and_wait(SC_HANDLE service) {
    SERVICE_STATUS status{};
    if (!ControlService(service, SERVICE_CONTROL_STOP, &status)) return GetLastError() == ERROR_SERVICE_NOT_ACTIVE;
    for (int tries = 200; tries > 0 && QueryServiceStatus(service, &status); tries--) {
        if (status.dwCurrentState == SERVICE_STOPPED) return true;
        Sleep(50);
    }
    return false;
}

void uninstall_service() {
    SC_HANDLE manager = OpenSCManagerW(nullptr, nullptr, SC_MANAGER_ALL_ACCESS);
    if (SC_HANDLE service = OpenServiceW(manager, service_name, SERVICE_ALL_ACCESS)) {
        stop_and_wait(service);
        DeleteService(service);
        CloseServiceHandle(service);
    }
    CloseServiceHandle(manager);
}

// The real installer leaves the service out for who has asked, in the own configuration, that it stays stopped.
void install_service(const std::wstring &program) {
    if (stub::Settings::read(user_profile() + L"\\RustDesk\\config\\RustDesk2.toml").option("stop-service") == "Y") return;
    SC_HANDLE manager = OpenSCManagerW(nullptr, nullptr, SC_MANAGER_ALL_ACCESS);
    const std::wstring command = L"\"" + program + L"\" --service";
    SC_HANDLE service = CreateServiceW(manager, service_name, L"RustDesk Service", SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                                       SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, command.c_str(), nullptr, nullptr, nullptr, nullptr, nullptr);
    if (!service) service = OpenServiceW(manager, service_name, SERVICE_ALL_ACCESS);
    if (service) {
        StartServiceW(service, 0, nullptr);
        CloseServiceHandle(service);
    }
    CloseServiceHandle(manager);
}

// --- Installation ----------------------------------------------------------------------------------------------------

void set_text(const wchar_t *name, const std::wstring &value) {
    RegSetKeyValueW(HKEY_LOCAL_MACHINE, uninstall_key, name, REG_SZ, value.c_str(),
                    static_cast<DWORD>((value.size() + 1) * sizeof(wchar_t)));
}

std::wstring installed_program() {
    wchar_t folder[MAX_PATH];
    DWORD size = sizeof folder;
    if (RegGetValueW(HKEY_LOCAL_MACHINE, uninstall_key, L"InstallLocation", RRF_RT_REG_SZ, nullptr, folder, &size) != ERROR_SUCCESS) return {};
    const std::wstring program = std::wstring(folder) + L"\\RustDesk.exe";
    return GetFileAttributesW(program.c_str()) == INVALID_FILE_ATTRIBUTES ? std::wstring() : program;
}

void silent_install() {
    const std::wstring folder = lab::expand(L"%ProgramFiles%\\RustDesk");
    const std::wstring program = folder + L"\\RustDesk.exe";
    uninstall_service();
    CreateDirectoryW(folder.c_str(), nullptr);
    if (!CopyFileW(own_path().c_str(), program.c_str(), FALSE)) return;
    set_text(L"DisplayName", L"RustDesk");
    set_text(L"DisplayVersion", STUB_VERSION_TEXT);
    set_text(L"Version", STUB_VERSION_TEXT);
    set_text(L"BuildDate", L"lab stub");
    set_text(L"Publisher", L"RustDesk lab stub");
    set_text(L"InstallLocation", folder);
    set_text(L"UninstallString", L"\"" + program + L"\" --uninstall");
    const DWORD msi = 0;
    RegSetKeyValueW(HKEY_LOCAL_MACHINE, uninstall_key, L"WindowsInstaller", REG_DWORD, &msi, sizeof msi);
    install_service(program);
}

// A program cannot delete itself: a copy of it does, as soon as it has ended.
void uninstall() {
    const std::wstring program = installed_program();
    uninstall_service();
    RegDeleteTreeW(HKEY_LOCAL_MACHINE, uninstall_key);
    if (program.empty()) return;
    const std::wstring copy = lab::expand(L"%TEMP%\\rustdesk-stub-uninstall.exe");
    CopyFileW(program.c_str(), copy.c_str(), FALSE);
    std::wstring line = L"\"" + copy + L"\" --stub-remove \"" + program + L"\" " + std::to_wstring(GetCurrentProcessId());
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    PROCESS_INFORMATION process{};
    CreateProcessW(nullptr, line.data(), nullptr, nullptr, FALSE, DETACHED_PROCESS, nullptr, nullptr, &startup, &process);
}

void remove_after(const std::wstring &program, DWORD pid) {
    if (HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid)) WaitForSingleObject(process, 10 * seconds);
    for (int tries = 50; tries > 0 && !DeleteFileW(program.c_str()) && GetLastError() != ERROR_FILE_NOT_FOUND; tries--) Sleep(100);
    RemoveDirectoryW(program.substr(0, program.rfind(L'\\')).c_str());
}

// --- Command line ----------------------------------------------------------------------------------------------------

// The window of the user: starts with what the running service has, if there is one, and writes it at the end.
void run_window() {
    Client client(user_profile());
    const auto settings = ask({"settings"});
    const auto identity = ask({"identity"});
    if (settings && identity) client.adopt(*settings, *identity);
    note_contact("window", client.server());
    HANDLE quit = CreateEventW(nullptr, TRUE, FALSE, quit_event);
    WaitForSingleObject(quit, 600 * seconds);
    client.store();
}

void quit_windows() {
    if (HANDLE quit = OpenEventW(EVENT_MODIFY_STATE, FALSE, quit_event)) SetEvent(quit);
}

void configure(const std::string &text) {
    const auto config = stub::parse_config_string(text);
    if (!config) return;
    const auto value = [&](const char *name) { return config->contains(name) ? config->at(name) : std::string(); };
    ask_or_do({"set", "key", value("key")});
    ask_or_do({"set", "custom-rendezvous-server", value("host")});
    ask_or_do({"set", "api-server", value("api")});
    ask_or_do({"set", "relay-server", value("relay")});
}

void run(const std::vector<std::wstring> &args) {
    const std::wstring command = args.empty() ? L"" : args[0];
    const auto at = [&](size_t i) { return i < args.size() ? narrow(args[i]) : std::string(); };
    if (command.empty()) return run_window();
    if (command == L"--version") return print(STUB_VERSION " (lab stub, not RustDesk)\n");
    if (command == L"--build-date") return print("lab stub\n");
    if (command == L"--get-id") return print(ask_or_do({"id"}) + "\n");
    if (command == L"--service") return run_service();
    if (command == L"--silent-install") return silent_install();
    if (command == L"--uninstall") return uninstall();
    if (command == L"--stub-remove") return remove_after(args.at(1), std::stoul(at(2)));
    if (command == L"--stub-quit") return quit_windows();
    if (command == L"--stub-install-service") return install_service(own_path());
    const auto program = installed_program();
    if (program.empty() || !IsUserAnAdmin()) return print(refusal);
    if (command == L"--install-service") return install_service(program);
    if (command == L"--uninstall-service") return uninstall_service();
    if (command == L"--option" && args.size() == 2) return print(ask_or_do({"get", at(1)}) + "\n");
    if (command == L"--option" && args.size() > 2) {
        ask_or_do({"set", at(1), at(2)});
    } else if (command == L"--config" && args.size() > 1) {
        configure(at(1));
    } else if (command == L"--password" && args.size() > 1) {
        print(ask({"password", at(1)}).value_or("Failed to set the password: the service does not run.") + "\n");
    }
}

}  // namespace

int WINAPI wWinMain(HINSTANCE, HINSTANCE, wchar_t *, int) {
    int argc = 0;
    wchar_t **argv = CommandLineToArgvW(GetCommandLineW(), &argc);
    run({argv + 1, argv + argc});
    return 0;
}
