// The client's RustDesk2.toml and RustDesk.toml, read and written by the rules of the real one.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace stub {

struct Socks {
    std::string proxy, username, password;
};

// RustDesk2.toml. A field of another type than it should have falls back to its default; for [options] that is the
// whole table, and one value that is no string is enough. A file that is no TOML counts as absent.
struct Settings {
    std::string rendezvous_server;
    long long nat_type = 0;
    long long serial = 0;
    std::string unlock_pin;
    std::string trusted_devices;
    std::optional<Socks> socks;
    std::map<std::string, std::string> options;

    static Settings read(const std::wstring &path);
    static Settings parse(const std::string &text);
    // Everything the client does not know at the top is gone; unknown options stay. A plain proxy password comes out disguised.
    std::string text() const;
    std::string option(const std::string &name) const;
    // The empty value removes.
    void set_option(const std::string &name, const std::string &value);
};

// RustDesk.toml: who this device is.
struct Identity {
    std::string id;
    std::string password;
    std::string salt;

    static Identity read(const std::wstring &path);
    static Identity parse(const std::string &text);
    std::string text() const;
};

// What a configuration string carries; nothing when it is padded, or cannot be read, or names no host.
std::optional<std::map<std::string, std::string>> parse_config_string(const std::string &text);

std::string read_file(const std::wstring &path);
// Through a temporary file beside it that takes its place; false when Windows refuses.
bool write_file(const std::wstring &path, const std::string &text);

}  // namespace stub
