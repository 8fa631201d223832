// What the PowerShell stand-in asks of Wine itself: services, registry, sharing of open files, versions and installer packages.
//
// Every command prints one JSON value and ends with status 0; a refusal of Windows prints {"error": code} and ends with 1.
// Usage: labtool service list | create NAME PATH | delete NAME | start NAME | stop NAME
//        labtool service set NAME start auto|delayed|manual|disabled | display TEXT | description TEXT | path PATH
//        labtool sharing read|write|delete PATH      may this file be opened so, beside those who have it open?
//        labtool hold none|read|all PATH             keeps it open, granting others that much, until standard input ends
//        labtool registry query KEY | create KEY | delete KEY | set KEY NAME TYPE HEX | delete-value KEY NAME
//        labtool version PATH                        the four numbers of a file's version resource
//        labtool desktop                             uses the desktop for ever
//        labtool product-code MSI | product-state CODE
#include "text.h"

#include <msi.h>
#include <msiquery.h>

#include <map>
#include <memory>

using lab::json;
using lab::narrow;

namespace {

struct Refused {
    DWORD code;
};

[[noreturn]] void refuse(DWORD code = GetLastError()) { throw Refused{code}; }

struct HandleOf {
    SC_HANDLE handle;
    explicit HandleOf(SC_HANDLE opened) : handle(opened) {
        if (!handle) refuse();
    }
    ~HandleOf() { CloseServiceHandle(handle); }
    HandleOf(const HandleOf &) = delete;
    HandleOf &operator=(const HandleOf &) = delete;
};

HandleOf manager() { return HandleOf(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_ALL_ACCESS)); }

SERVICE_STATUS_PROCESS status_of(SC_HANDLE service) {
    SERVICE_STATUS_PROCESS status{};
    DWORD needed = 0;
    if (!QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, reinterpret_cast<BYTE *>(&status), sizeof status, &needed)) refuse();
    return status;
}

void wait_for(SC_HANDLE service, DWORD state, DWORD code) {
    for (int tries = 300; tries > 0; tries--) {
        if (status_of(service).dwCurrentState == state) return;
        Sleep(50);
    }
    refuse(code);
}

std::string description_of(SC_HANDLE service) {
    std::vector<BYTE> buffer(16384);
    DWORD needed = 0;
    if (!QueryServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, buffer.data(), static_cast<DWORD>(buffer.size()), &needed)) return {};
    const auto *description = reinterpret_cast<const SERVICE_DESCRIPTIONW *>(buffer.data());
    return description->lpDescription ? narrow(description->lpDescription) : "";
}

bool delayed(const std::wstring &name) {
    DWORD value = 0;
    DWORD size = sizeof value;
    const std::wstring key = L"SYSTEM\\CurrentControlSet\\Services\\" + name;
    return RegGetValueW(HKEY_LOCAL_MACHINE, key.c_str(), L"DelayedAutostart", RRF_RT_REG_DWORD, nullptr, &value, &size) == ERROR_SUCCESS &&
           value != 0;
}

std::string describe(SC_HANDLE scm, const std::wstring &name) {
    const HandleOf service(OpenServiceW(scm, name.c_str(), SERVICE_QUERY_CONFIG | SERVICE_QUERY_STATUS));
    std::vector<BYTE> buffer(16384);
    DWORD needed = 0;
    auto *config = reinterpret_cast<QUERY_SERVICE_CONFIGW *>(buffer.data());
    if (!QueryServiceConfigW(service.handle, config, static_cast<DWORD>(buffer.size()), &needed)) refuse();
    const auto status = status_of(service.handle);
    static const std::map<DWORD, const char *> modes = {{0, "boot"}, {1, "system"}, {2, "auto"}, {3, "manual"}, {4, "disabled"}};
    static const std::map<DWORD, const char *> states = {
        {SERVICE_STOPPED, "stopped"},
        {SERVICE_START_PENDING, "start_pending"},
        {SERVICE_STOP_PENDING, "stop_pending"},
        {SERVICE_RUNNING, "started"},
        {SERVICE_CONTINUE_PENDING, "continue_pending"},
        {SERVICE_PAUSE_PENDING, "pause_pending"},
        {SERVICE_PAUSED, "paused"},
    };
    std::string mode = modes.at(config->dwStartType);
    if (mode == "auto" && delayed(name)) mode = "delayed";
    return "{\"name\": " + json(name) + ", \"display_name\": " + json(config->lpDisplayName) + ", \"path\": " +
           json(config->lpBinaryPathName) + ", \"username\": " + json(config->lpServiceStartName) + ", \"start_mode\": " + json(mode) +
           ", \"state\": " + json(states.at(status.dwCurrentState)) + ", \"process_id\": " + std::to_string(status.dwProcessId) +
           ", \"service_type\": " + std::to_string(config->dwServiceType) + ", \"exit_code\": " + std::to_string(status.dwWin32ExitCode) +
           ", \"description\": " + json(description_of(service.handle)) + "}";
}

std::string list_services() {
    const auto scm = manager();
    DWORD needed = 0, count = 0, resume = 0;
    std::vector<BYTE> buffer(1 << 20);
    if (!EnumServicesStatusExW(scm.handle, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_STATE_ALL, buffer.data(),
                               static_cast<DWORD>(buffer.size()), &needed, &count, &resume, nullptr))
        refuse();
    const auto *entries = reinterpret_cast<const ENUM_SERVICE_STATUS_PROCESSW *>(buffer.data());
    std::string out = "[";
    for (DWORD i = 0; i < count; i++) out += (i ? ", " : "") + describe(scm.handle, entries[i].lpServiceName);
    return out + "]";
}

std::string create_service(const std::wstring &name, const std::wstring &path) {
    const auto scm = manager();
    const HandleOf service(CreateServiceW(scm.handle, name.c_str(), name.c_str(), SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                                          SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, path.c_str(), nullptr, nullptr, nullptr, nullptr, nullptr));
    return "{}";
}

std::string set_service(const std::wstring &name, const std::wstring &what, const std::wstring &value) {
    const auto scm = manager();
    const HandleOf service(OpenServiceW(scm.handle, name.c_str(), SERVICE_ALL_ACCESS));
    static const std::map<std::wstring, DWORD> modes = {
        {L"auto", SERVICE_AUTO_START}, {L"delayed", SERVICE_AUTO_START}, {L"manual", SERVICE_DEMAND_START}, {L"disabled", SERVICE_DISABLED}};
    DWORD mode = SERVICE_NO_CHANGE;
    const wchar_t *path = nullptr, *display = nullptr;
    if (what == L"start") {
        mode = modes.at(value);
    } else if (what == L"path") {
        path = value.c_str();
    } else if (what == L"display") {
        display = value.c_str();
    } else if (what == L"description") {
        std::wstring text = value;
        SERVICE_DESCRIPTIONW description{text.data()};
        if (!ChangeServiceConfig2W(service.handle, SERVICE_CONFIG_DESCRIPTION, &description)) refuse();
        return "{}";
    } else {
        refuse(ERROR_INVALID_PARAMETER);
    }
    if (!ChangeServiceConfigW(service.handle, SERVICE_NO_CHANGE, mode, SERVICE_NO_CHANGE, path, nullptr, nullptr, nullptr, nullptr, nullptr,
                              display))
        refuse();
    if (what == L"start") {
        // Wine keeps no such flag of its own; on Windows it lives in the same place.
        const std::wstring key = L"SYSTEM\\CurrentControlSet\\Services\\" + name;
        const DWORD flag = value == L"delayed";
        RegSetKeyValueW(HKEY_LOCAL_MACHINE, key.c_str(), L"DelayedAutostart", REG_DWORD, &flag, sizeof flag);
    }
    return "{}";
}

std::string service(const std::vector<std::wstring> &args) {
    const auto &act = args.at(0);
    if (act == L"list") return list_services();
    if (act == L"create") return create_service(args.at(1), args.at(2));
    if (act == L"set") return set_service(args.at(1), args.at(2), args.at(3));
    const auto scm = manager();
    const HandleOf service(OpenServiceW(scm.handle, args.at(1).c_str(), SERVICE_ALL_ACCESS));
    if (act == L"delete") {
        if (!DeleteService(service.handle)) refuse();
    } else if (act == L"start") {
        if (!StartServiceW(service.handle, 0, nullptr)) refuse();
        wait_for(service.handle, SERVICE_RUNNING, ERROR_SERVICE_REQUEST_TIMEOUT);
    } else if (act == L"stop") {
        SERVICE_STATUS status{};
        if (!ControlService(service.handle, SERVICE_CONTROL_STOP, &status)) refuse();
        wait_for(service.handle, SERVICE_STOPPED, ERROR_SERVICE_REQUEST_TIMEOUT);
    } else {
        refuse(ERROR_INVALID_PARAMETER);
    }
    return "{}";
}

std::string sharing(const std::wstring &wish, const std::wstring &path) {
    static const std::map<std::wstring, DWORD> accesses = {{L"read", GENERIC_READ}, {L"write", GENERIC_WRITE}, {L"delete", DELETE}};
    const DWORD shared = wish == L"write" ? FILE_SHARE_READ : FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE file = CreateFileW(path.c_str(), accesses.at(wish), shared, nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr);
    if (file == INVALID_HANDLE_VALUE) refuse();
    CloseHandle(file);
    return "{}";
}

std::string hold(const std::wstring &shared, const std::wstring &path) {
    static const std::map<std::wstring, DWORD> modes = {
        {L"none", 0}, {L"read", FILE_SHARE_READ}, {L"all", FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE}};
    HANDLE file = CreateFileW(path.c_str(), GENERIC_READ, modes.at(shared), nullptr, OPEN_EXISTING, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE) refuse();
    lab::print("{}\n");
    char byte = 0;
    DWORD got = 0;
    while (ReadFile(GetStdHandle(STD_INPUT_HANDLE), &byte, 1, &got, nullptr) && got) {
    }
    CloseHandle(file);
    return "{}";
}

struct Place {
    HKEY hive;
    std::wstring key;
};

Place place_of(const std::wstring &path) {
    static const std::map<std::wstring, HKEY> hives = {{L"HKCC", HKEY_CURRENT_CONFIG},
                                                       {L"HKCR", HKEY_CLASSES_ROOT},
                                                       {L"HKCU", HKEY_CURRENT_USER},
                                                       {L"HKLM", HKEY_LOCAL_MACHINE},
                                                       {L"HKU", HKEY_USERS}};
    const auto slash = path.find(L'\\');
    return {hives.at(path.substr(0, slash)), slash == std::wstring::npos ? L"" : path.substr(slash + 1)};
}

struct OpenKey {
    HKEY handle = nullptr;
    ~OpenKey() { RegCloseKey(handle); }
};

void demand(LONG code) {
    if (code != ERROR_SUCCESS) refuse(code);
}

std::string hex_of(const BYTE *data, DWORD size) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (DWORD i = 0; i < size; i++) {
        out += digits[data[i] >> 4];
        out += digits[data[i] & 15];
    }
    return out;
}

std::vector<BYTE> bytes_of(const std::wstring &hex) {
    std::vector<BYTE> out;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<BYTE>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    return out;
}

// {"values": [[name, type, hex], ...], "sub_keys": [name, ...]}; null when there is no such key.
std::string query_key(const Place &place) {
    OpenKey key;
    const LONG opened = RegOpenKeyExW(place.hive, place.key.c_str(), 0, KEY_READ, &key.handle);
    if (opened == ERROR_FILE_NOT_FOUND) return "null";
    demand(opened);
    std::vector<wchar_t> name(32768);
    std::vector<BYTE> data(1 << 20);
    std::string out = "{\"values\": [";
    for (DWORD i = 0;; i++) {
        DWORD length = static_cast<DWORD>(name.size()), size = static_cast<DWORD>(data.size()), type = 0;
        const LONG code = RegEnumValueW(key.handle, i, name.data(), &length, nullptr, &type, data.data(), &size);
        if (code == ERROR_NO_MORE_ITEMS) break;
        demand(code);
        out += (i ? ", [" : "[") + json(std::wstring_view(name.data(), length)) + ", " + std::to_string(type) + ", \"" +
               hex_of(data.data(), size) + "\"]";
    }
    out += "], \"sub_keys\": [";
    for (DWORD i = 0;; i++) {
        DWORD length = static_cast<DWORD>(name.size());
        const LONG code = RegEnumKeyExW(key.handle, i, name.data(), &length, nullptr, nullptr, nullptr, nullptr);
        if (code == ERROR_NO_MORE_ITEMS) break;
        demand(code);
        out += (i ? ", " : "") + json(std::wstring_view(name.data(), length));
    }
    return out + "]}";
}

std::string registry(const std::vector<std::wstring> &args) {
    const auto &act = args.at(0);
    const Place place = place_of(args.at(1));
    if (act == L"query") return query_key(place);
    if (act == L"delete") {
        demand(RegDeleteTreeW(place.hive, place.key.c_str()));
        return "{}";
    }
    OpenKey key;
    demand(RegCreateKeyExW(place.hive, place.key.c_str(), 0, nullptr, 0, KEY_ALL_ACCESS, nullptr, &key.handle, nullptr));
    if (act == L"set") {
        const auto data = bytes_of(args.at(4));
        demand(RegSetValueExW(key.handle, args.at(2).c_str(), 0, std::stoul(args.at(3)), data.data(), static_cast<DWORD>(data.size())));
    } else if (act == L"delete-value") {
        demand(RegDeleteValueW(key.handle, args.at(2).c_str()));
    } else if (act != L"create") {
        refuse(ERROR_INVALID_PARAMETER);
    }
    return "{}";
}

std::string version(const std::wstring &path) {
    DWORD ignored = 0;
    const DWORD size = GetFileVersionInfoSizeW(path.c_str(), &ignored);
    if (!size) refuse();
    std::vector<BYTE> data(size);
    if (!GetFileVersionInfoW(path.c_str(), 0, size, data.data())) refuse();
    VS_FIXEDFILEINFO *info = nullptr;
    UINT length = 0;
    if (!VerQueryValueW(data.data(), L"\\", reinterpret_cast<void **>(&info), &length)) refuse();
    return "[" + std::to_string(HIWORD(info->dwFileVersionMS)) + ", " + std::to_string(LOWORD(info->dwFileVersionMS)) + ", " +
           std::to_string(HIWORD(info->dwFileVersionLS)) + ", " + std::to_string(LOWORD(info->dwFileVersionLS)) + "]";
}

std::string product_code(const std::wstring &path) {
    MSIHANDLE database = 0, view = 0, record = 0;
    UINT code = MsiOpenDatabaseW(path.c_str(), MSIDBOPEN_READONLY, &database);
    if (code) refuse(code);
    const wchar_t *query = L"SELECT `Value` FROM `Property` WHERE `Property` = 'ProductCode'";
    if ((code = MsiDatabaseOpenViewW(database, query, &view)) || (code = MsiViewExecute(view, 0)) || (code = MsiViewFetch(view, &record)))
        refuse(code);
    wchar_t text[64];
    DWORD length = 64;
    if ((code = MsiRecordGetStringW(record, 1, text, &length))) refuse(code);
    MsiCloseHandle(record);
    MsiCloseHandle(view);
    MsiCloseHandle(database);
    return json(text);
}

std::string product_state(const std::wstring &code) { return std::to_string(MsiQueryProductStateW(code.c_str())); }

std::string run(const std::vector<std::wstring> &args) {
    const auto &command = args.at(0);
    if (command == L"service") return service({args.begin() + 1, args.end()});
    if (command == L"sharing") return sharing(args.at(1), args.at(2));
    if (command == L"hold") return hold(args.at(1), args.at(2));
    if (command == L"registry") return registry({args.begin() + 1, args.end()});
    if (command == L"version") return version(args.at(1));
    if (command == L"desktop") {
        GetDesktopWindow();
        Sleep(INFINITE);
    }
    if (command == L"product-code") return product_code(args.at(1));
    if (command == L"product-state") return product_state(args.at(1));
    refuse(ERROR_INVALID_PARAMETER);
}

}  // namespace

int wmain(int argc, wchar_t **argv) {
    try {
        lab::print(run({argv + 1, argv + argc}) + "\n");
        return 0;
    } catch (const Refused &refused) {
        lab::print("{\"error\": " + std::to_string(refused.code) + "}\n");
    } catch (const std::exception &error) {
        lab::print("{\"error\": 87, \"usage\": " + json(std::string_view(error.what())) + "}\n");
    }
    return 1;
}
