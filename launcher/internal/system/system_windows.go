package system

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"rustdesk-launcher/internal/say"
)

var (
	kernel   = syscall.NewLazyDLL("kernel32.dll")
	user     = syscall.NewLazyDLL("user32.dll")
	advanced = syscall.NewLazyDLL("advapi32.dll")

	attachConsole            = kernel.NewProc("AttachConsole")
	getUserDefaultUILanguage = kernel.NewProc("GetUserDefaultUILanguage")
	openProcess              = kernel.NewProc("OpenProcess")
	processIDToSessionID     = kernel.NewProc("ProcessIdToSessionId")
	messageBox               = user.NewProc("MessageBoxW")
	openSCManager            = advanced.NewProc("OpenSCManagerW")
	openService              = advanced.NewProc("OpenServiceW")
	queryServiceStatus       = advanced.NewProc("QueryServiceStatus")
	closeServiceHandle       = advanced.NewProc("CloseServiceHandle")
)

const languageGerman = 0x07 // LANG_GERMAN, the lower ten bits of a LANGID

func userLanguage() say.Language {
	language, _, _ := getUserDefaultUILanguage.Call()
	if language&0x3ff == languageGerman {
		return say.German
	}
	return say.English
}

// ApplicationData returns %APPDATA%.
func (Desk) ApplicationData() (string, error) {
	if folder := os.Getenv("APPDATA"); folder != "" {
		return folder, nil
	}
	return "", say.Errorf("APPDATA is not set, so there is no telling where your settings are. Sign in to Windows anew")
}

func windowsFolder() string {
	if folder := os.Getenv("SystemRoot"); folder != "" {
		return folder
	}
	return `C:\Windows`
}

// ServiceData returns the folder in which the service has its application data (hbb_common src/config.rs, patch). Ordinary
// users may not read it.
func (Desk) ServiceData() string {
	return filepath.Join(windowsFolder(), `ServiceProfiles\LocalService\AppData\Roaming`)
}

// IsSystem tells whether this is the account of the system itself, whose profile no person uses.
func (Desk) IsSystem() bool {
	folder := strings.ToLower(filepath.Clean(os.Getenv("APPDATA")))
	return strings.HasPrefix(folder, strings.ToLower(windowsFolder())+`\`) && strings.Contains(folder, `\config\systemprofile\`)
}

// InstalledProgram returns where an installed RustDesk is, "" when none is known.
func (Desk) InstalledProgram() string {
	const uninstall = `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\RustDesk`
	var key syscall.Handle
	if syscall.RegOpenKeyEx(syscall.HKEY_LOCAL_MACHINE, wide(uninstall), 0, syscall.KEY_READ, &key) != nil {
		return ""
	}
	defer syscall.RegCloseKey(key)
	var kind uint32
	buffer := make([]uint16, syscall.MAX_PATH)
	size := uint32(len(buffer) * 2)
	err := syscall.RegQueryValueEx(key, wide("InstallLocation"), nil, &kind, (*byte)(unsafe.Pointer(&buffer[0])), &size)
	folder := strings.Trim(syscall.UTF16ToString(buffer), `"`)
	if err != nil || folder == "" {
		return ""
	}
	return filepath.Join(folder, Program)
}

// wide returns a text as Windows takes it; ours hold no zero.
func wide(text string) *uint16 {
	out, err := syscall.UTF16PtrFromString(strings.ReplaceAll(text, "\x00", ""))
	if err != nil {
		panic(err)
	}
	return out
}

// IsRunning tells whether a RustDesk of this user runs, which would write its settings back at its end.
func (Desk) IsRunning() bool {
	snapshot, err := syscall.CreateToolhelp32Snapshot(syscall.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return false
	}
	defer syscall.CloseHandle(snapshot)
	entry := syscall.ProcessEntry32{Size: uint32(unsafe.Sizeof(syscall.ProcessEntry32{}))}
	for err = syscall.Process32First(snapshot, &entry); err == nil; err = syscall.Process32Next(snapshot, &entry) {
		if strings.EqualFold(syscall.UTF16ToString(entry.ExeFile[:]), Program) && isOwn(entry.ProcessID) {
			return true
		}
	}
	return false
}

// isOwn tells whether a process is this user's. Where Windows does not say whose it is, one of the same session counts.
func isOwn(process uint32) bool {
	const queryLimitedInformation = 0x1000
	handle, _, _ := openProcess.Call(queryLimitedInformation, 0, uintptr(process))
	if handle != 0 {
		defer syscall.CloseHandle(syscall.Handle(handle))
		if owner := ownerOf(syscall.Handle(handle)); owner != "" {
			self, _ := syscall.GetCurrentProcess()
			return owner == ownerOf(self)
		}
	}
	var here, there uint32
	known, _, _ := processIDToSessionID.Call(uintptr(process), uintptr(unsafe.Pointer(&there)))
	own, _, _ := processIDToSessionID.Call(uintptr(os.Getpid()), uintptr(unsafe.Pointer(&here)))
	return known != 0 && own != 0 && here == there
}

func ownerOf(process syscall.Handle) string {
	var token syscall.Token
	if syscall.OpenProcessToken(process, syscall.TOKEN_QUERY, &token) != nil {
		return ""
	}
	defer token.Close()
	found, err := token.GetTokenUser()
	if err != nil {
		return ""
	}
	text, err := found.User.Sid.String()
	if err != nil {
		return ""
	}
	return text
}

// Service returns the state of RustDesk's service.
func (Desk) Service() Service {
	const (
		connect     = 0x0001
		queryStatus = 0x0004
		stopped     = 1
	)
	manager, _, _ := openSCManager.Call(0, 0, connect)
	if manager == 0 {
		return NotInstalled
	}
	defer closeServiceHandle.Call(manager)
	service, _, _ := openService.Call(manager, uintptr(unsafe.Pointer(wide("RustDesk"))), queryStatus)
	if service == 0 {
		return NotInstalled
	}
	defer closeServiceHandle.Call(service)
	var status [7]uint32 // SERVICE_STATUS; its second number is the state
	if known, _, _ := queryServiceStatus.Call(service, uintptr(unsafe.Pointer(&status))); known != 0 && status[1] == stopped {
		return Stopped
	}
	return Running
}

// Output returns where to write for people, nil where nobody would see it: files and pipes that were given, else the console
// that the program was started from. Started by a double click there is none, and none is opened.
func (Desk) Output() (out, problems io.Writer) {
	const parent = ^uintptr(0) // ATTACH_PARENT_PROCESS
	var console *os.File
	if !isUsable(os.Stdout) || !isUsable(os.Stderr) {
		if attached, _, _ := attachConsole.Call(parent); attached != 0 {
			console, _ = os.OpenFile("CONOUT$", os.O_RDWR, 0)
		}
	}
	return writer(os.Stdout, console), writer(os.Stderr, console)
}

func writer(given, console *os.File) io.Writer {
	switch {
	case isUsable(given):
		return given
	case console != nil:
		return console
	}
	return nil
}

// Show shows a text in a window of its own.
func (Desk) Show(title, text string, isProblem bool) {
	const (
		iconWarning     = 0x30
		iconInformation = 0x40
	)
	icon := uintptr(iconInformation)
	if isProblem {
		icon = iconWarning
	}
	box(title, text, icon)
}

// Ask shows a text and asks whether to try again; without a desktop the answer is no.
func (Desk) Ask(title, text string) bool {
	const (
		retryCancel = 0x05
		iconWarning = 0x30
		retry       = 4
	)
	return box(title, text, retryCancel|iconWarning) == retry
}

func box(title, text string, style uintptr) uintptr {
	const setForeground = 0x10000
	answer, _, _ := messageBox.Call(0, uintptr(unsafe.Pointer(wide(text))), uintptr(unsafe.Pointer(wide(title))), style|setForeground)
	return answer
}
