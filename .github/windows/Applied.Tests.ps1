# What stands on the machine after the roles, seen with Windows' own tools.
BeforeDiscovery {
    $script:users = 'Jörg Müller', 'anna'
}

Describe 'Firewall' {
    It 'lets <Protocol> out to <Ports>' -ForEach @(
        @{ Protocol = 'TCP'; Ports = '21115,21116,21117' }
        @{ Protocol = 'UDP'; Ports = '21116' }
    ) {
        $rules = @(Get-NetFirewallRule -DisplayName "RustDesk Remote Support ($Protocol)")
        $rules | Should -HaveCount 1
        $rules[0].Direction | Should -Be 'Outbound'
        $rules[0].Action | Should -Be 'Allow'
        $rules[0].Enabled | Should -Be 'True'
        $filter = $rules[0] | Get-NetFirewallPortFilter
        $filter.Protocol | Should -Be $Protocol
        @($filter.RemotePort) -join ',' | Should -Be $Ports
    }
}

Describe 'Profile of <_>' -ForEach $users {
    BeforeAll {
        $file = "C:\Users\$_\AppData\Roaming\RustDesk\config\RustDesk2.toml"
        $text = [System.IO.File]::ReadAllText($file)
    }
    It 'has server and key' {
        $text | Should -Match "custom-rendezvous-server = ['`"]rustdesk\.example\.org"
        $text | Should -Match "key = ['`"]5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM="
    }
}

Describe 'Settings of somebody else' {
    It 'keep their bytes' {
        $bytes = [System.IO.File]::ReadAllBytes('C:\Users\Jörg Müller\AppData\Roaming\RustDesk\config\RustDesk2.toml')
        $bytes[0..2] | Should -Be @(0xEF, 0xBB, 0xBF)
        $text = [System.Text.Encoding]::UTF8.GetString($bytes)
        $text | Should -Match "# theirs`r`nown = 'x'`r`n"
        ($text -replace "`r`n", '') | Should -Not -Match "`n"
    }
}

Describe 'Profile of the service' {
    It 'has the server' {
        $file = 'C:\Windows\ServiceProfiles\LocalService\AppData\Roaming\RustDesk\config\RustDesk2.toml'
        Get-Content -Raw $file | Should -Match 'rustdesk\.example\.org'
    }
}
