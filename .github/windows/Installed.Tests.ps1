# The pinned RustDesk, installed by the role.
Describe 'RustDesk' {
    BeforeAll {
        $program = 'C:\Program Files\RustDesk\rustdesk.exe'
        # It is no console program: its output comes only through a pipe.
        function Read-Option([string]$Name) { (& $program --option $Name | Out-String).Trim() }
    }
    It 'runs as a service that starts by itself' {
        $service = Get-Service -Name RustDesk
        $service.Status | Should -Be 'Running'
        $service.StartType | Should -Be 'Automatic'
    }
    It 'answers <Name> with <Value>' -ForEach @(
        @{ Name = 'custom-rendezvous-server'; Value = 'rustdesk.example.org' }
        @{ Name = 'key'; Value = '5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM=' }
    ) {
        Read-Option $Name | Should -Be $Value
    }
    It 'is signed as it was' {
        (Get-AuthenticodeSignature $program).Status | Should -Be 'Valid'
    }
}
