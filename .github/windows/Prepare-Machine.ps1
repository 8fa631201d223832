# Makes the runner a machine as the lab's is: OpenSSH with PowerShell, an administrator to log in, two more users.
[CmdletBinding()]
param(
    # Where the key to log in with goes, and what has to be known of the machine's own.
    [Parameter(Mandatory)]
    [string]$KeyDirectory
)
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true

function Add-LocalAccount {
    param([string]$Name, [string]$Group)
    $bytes = [byte[]]::new(24)
    [System.Security.Cryptography.RandomNumberGenerator]::Fill($bytes)
    $password = ConvertTo-SecureString ([Convert]::ToBase64String($bytes) + 'aA1!') -AsPlainText -Force
    New-LocalUser -Name $Name -Password $password | Out-Null
    Add-LocalGroupMember -Group $Group -Member $Name
}

# A profile comes into being when its user logs in first, or so.
Add-Type -Namespace Lab -Name Profiles -MemberDefinition @'
[System.Runtime.InteropServices.DllImport("userenv.dll", CharSet = System.Runtime.InteropServices.CharSet.Unicode, PreserveSig = false)]
public static extern void CreateProfile(string sid, string user, System.Text.StringBuilder path, uint length);
'@
Add-LocalAccount -Name 'labadmin' -Group 'Administrators'
foreach ($user in 'Jörg Müller', 'anna') {
    Add-LocalAccount -Name $user -Group 'Users'
}
foreach ($user in 'labadmin', 'Jörg Müller', 'anna') {
    $path = [System.Text.StringBuilder]::new(260)
    [Lab.Profiles]::CreateProfile((Get-LocalUser -Name $user).SID.Value, $user, $path, 260)
    New-Item -ItemType Directory -Force -Path "$path\AppData\Roaming" | Out-Null
}

# Somebody else's settings, with a byte order mark and Windows' line ends: they have to come back byte for byte.
$foreign = New-Item -ItemType Directory -Force -Path 'C:\Users\Jörg Müller\AppData\Roaming\RustDesk\config'
[System.IO.File]::WriteAllText(
    "$foreign\RustDesk2.toml", "[options]`r`n# theirs`r`nown = 'x'`r`n", [System.Text.UTF8Encoding]::new($true))

if (-not (Get-Service -Name sshd -ErrorAction SilentlyContinue)) {
    Add-WindowsCapability -Online -Name 'OpenSSH.Server~~~~0.0.1.0' | Out-Null
}
New-Item -Path 'HKLM:\SOFTWARE\OpenSSH' -Force | Out-Null
New-ItemProperty -Path 'HKLM:\SOFTWARE\OpenSSH' -Name DefaultShell -PropertyType String -Force `
    -Value "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe" | Out-Null
Start-Service -Name sshd

New-Item -ItemType Directory -Force -Path $KeyDirectory | Out-Null
ssh-keygen -q -t ed25519 -N '""' -f "$KeyDirectory\id_ed25519"
$authorized = "$env:ProgramData\ssh\administrators_authorized_keys"
Move-Item -Path "$KeyDirectory\id_ed25519.pub" -Destination $authorized -Force
icacls $authorized /inheritance:r /grant '*S-1-5-32-544:F' /grant '*S-1-5-18:F' | Out-Null
# As the lab's: the machine's own key is known beforehand, and no check is switched off.
$key = Get-Content "$env:ProgramData\ssh\ssh_host_ed25519_key.pub"
[System.IO.File]::WriteAllText("$KeyDirectory\known_hosts", "127.0.0.1 $key`n")
