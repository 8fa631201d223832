#include "settings.h"

#include "text.h"

#include <toml++/toml.hpp>

#include <algorithm>
#include <sstream>

namespace stub {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string base64(const std::string &bytes) {
    std::string out;
    unsigned bits = 0, count = 0;
    for (const unsigned char c : bytes) {
        bits = bits << 8 | c;
        for (count += 8; count >= 6; count -= 6) out += alphabet[bits >> (count - 6) & 63];
    }
    if (count) out += alphabet[bits << (6 - count) & 63];
    while (out.size() % 4) out += '=';
    return out;
}

std::optional<std::string> decode(const std::string &text, const char *letters, bool padded) {
    std::string out;
    unsigned bits = 0, count = 0;
    for (const char c : text) {
        if (padded && c == '=') break;
        const char *found = std::strchr(letters, c);
        if (!c || !found) return std::nullopt;
        bits = bits << 6 | static_cast<unsigned>(found - letters);
        if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 255);
    }
    return count >= 6 ? std::nullopt : std::optional(out);
}

// The real client encrypts with the machine's id. This one only makes it look so, and says it.
const std::string disguise = "lab stub, not encrypted:";

std::string disguised(const std::string &secret) { return secret.empty() ? "" : "00" + base64(disguise + secret); }

std::string undisguised(const std::string &stored) {
    if (stored.starts_with("00"))
        if (const auto plain = decode(stored.substr(2), alphabet, true); plain && plain->starts_with(disguise))
            return plain->substr(disguise.size());
    return stored;
}

std::string quoted(const std::string &value) {
    if (value.find_first_of("'\r\n\t") == std::string::npos) return "'" + value + "'";
    std::ostringstream out;
    out << toml::value<std::string>(value);
    return out.str();
}

std::string key(const std::string &name) {
    const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) { return isalnum(c) || c == '-' || c == '_'; });
    return bare ? name : quoted(name);
}

std::string string_at(const toml::table &table, std::string_view name) { return table[name].value_exact<std::string>().value_or(""); }

long long number_at(const toml::table &table, std::string_view name) { return table[name].value_exact<int64_t>().value_or(0); }

toml::table parsed(std::string text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    try {
        return toml::parse(text);
    } catch (const toml::parse_error &) {
        return {};
    }
}

std::map<std::string, std::string> strings(const toml::table *table) {
    std::map<std::string, std::string> out;
    if (!table) return out;
    for (const auto &[name, node] : *table) {
        const auto value = node.value_exact<std::string>();
        if (!value) return {};
        out[std::string(name.str())] = *value;
    }
    return out;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return tolower(c); });
    return text;
}

std::map<std::string, std::string> from_list(const std::string &text) {
    std::map<std::string, std::string> out;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const auto equals = part.find('=');
        if (equals != std::string::npos) out[lower(part.substr(0, equals))] = part.substr(equals + 1);
    }
    return out;
}

// A flat JSON object of strings is an inline TOML table but for its colons and the separators' freedom.
std::optional<std::map<std::string, std::string>> from_json(const std::string &text) {
    std::string inline_table;
    bool inside = false;
    for (size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (inside && c == '\\' && i + 1 < text.size()) {
            if (text[i + 1] == '/') {
                inline_table += text[++i];
            } else {
                inline_table += c;
                inline_table += text[++i];
            }
            continue;
        }
        if (c == '"') inside = !inside;
        if (!inside && (c == '\n' || c == '\r')) continue;
        inline_table += !inside && c == ':' ? '=' : c;
    }
    try {
        const auto table = toml::parse("config = " + inline_table);
        const auto *object = table["config"].as_table();
        return object ? std::optional(strings(object)) : std::nullopt;
    } catch (const toml::parse_error &) {
        return std::nullopt;
    }
}

}  // namespace

Settings Settings::read(const std::wstring &path) { return parse(read_file(path)); }

Settings Settings::parse(const std::string &text) {
    const auto table = parsed(text);
    Settings settings;
    settings.rendezvous_server = string_at(table, "rendezvous_server");
    settings.nat_type = number_at(table, "nat_type");
    settings.serial = number_at(table, "serial");
    settings.unlock_pin = undisguised(string_at(table, "unlock_pin"));
    settings.trusted_devices = undisguised(string_at(table, "trusted_devices"));
    if (const auto *socks = table["socks"].as_table())
        settings.socks = Socks{string_at(*socks, "proxy"), string_at(*socks, "username"), undisguised(string_at(*socks, "password"))};
    settings.options = strings(table["options"].as_table());
    return settings;
}

std::string Settings::text() const {
    std::ostringstream out;
    out << "rendezvous_server = " << quoted(rendezvous_server) << "\nnat_type = " << nat_type << "\nserial = " << serial
        << "\nunlock_pin = " << quoted(disguised(unlock_pin)) << "\ntrusted_devices = " << quoted(disguised(trusted_devices)) << "\n";
    if (socks)
        out << "\n[socks]\nproxy = " << quoted(socks->proxy) << "\nusername = " << quoted(socks->username)
            << "\npassword = " << quoted(disguised(socks->password)) << "\n";
    out << "\n[options]\n";
    for (const auto &[name, value] : options) out << key(name) << " = " << quoted(value) << "\n";
    return out.str();
}

std::string Settings::option(const std::string &name) const {
    const auto found = options.find(name);
    return found == options.end() ? "" : found->second;
}

void Settings::set_option(const std::string &name, const std::string &value) {
    if (value.empty()) {
        options.erase(name);
    } else {
        options[name] = value;
    }
}

Identity Identity::read(const std::wstring &path) { return parse(read_file(path)); }

Identity Identity::parse(const std::string &text) {
    const auto table = parsed(text);
    Identity identity;
    const auto hidden = string_at(table, "enc_id");
    identity.id = hidden.empty() ? string_at(table, "id") : undisguised(hidden);
    identity.password = undisguised(string_at(table, "password"));
    identity.salt = string_at(table, "salt");
    return identity;
}

std::string Identity::text() const {
    std::ostringstream out;
    out << "enc_id = " << quoted(disguised(id)) << "\npassword = " << quoted(disguised(password)) << "\nsalt = " << quoted(salt)
        << "\nkey_confirmed = false\n\n[keys_confirmed]\n";
    return out.str();
}

std::optional<std::map<std::string, std::string>> parse_config_string(const std::string &text) {
    std::optional<std::map<std::string, std::string>> found;
    if (const auto at = lower(text).find("host="); at != std::string::npos) {
        found = from_list(text.substr(at));
    } else if (const auto decoded = decode({text.rbegin(), text.rend()}, url_alphabet, false)) {
        found = from_json(*decoded);
    }
    if (!found || (*found)["host"].empty()) return std::nullopt;
    return found;
}

std::string read_file(const std::wstring &path) {
    HANDLE file = CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0,
                              nullptr);
    if (file == INVALID_HANDLE_VALUE) return {};
    std::string out;
    char buffer[4096];
    DWORD got = 0;
    while (ReadFile(file, buffer, sizeof buffer, &got, nullptr) && got) out.append(buffer, got);
    CloseHandle(file);
    return out;
}

bool write_file(const std::wstring &path, const std::string &text) {
    for (size_t slash = path.find(L'\\', 3); slash != std::wstring::npos; slash = path.find(L'\\', slash + 1))
        CreateDirectoryW(path.substr(0, slash).c_str(), nullptr);
    const std::wstring beside = path + L".tmp";
    HANDLE file = CreateFileW(beside.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE) return false;
    DWORD written = 0;
    const bool whole = WriteFile(file, text.data(), static_cast<DWORD>(text.size()), &written, nullptr) && written == text.size();
    CloseHandle(file);
    if (whole && MoveFileExW(beside.c_str(), path.c_str(), MOVEFILE_REPLACE_EXISTING)) return true;
    DeleteFileW(beside.c_str());
    return false;
}

}  // namespace stub
