# What stands on the machine before the roles, and after they were taken back.
Describe 'Machine' {
    It 'has no firewall rule of ours' {
        Get-NetFirewallRule -DisplayName 'RustDesk Remote Support*' -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
    }
    It 'has settings of somebody else as they were, byte for byte' {
        $expected = [System.Text.UTF8Encoding]::new($true).GetPreamble() +
            [System.Text.Encoding]::UTF8.GetBytes("[options]`r`n# theirs`r`nown = 'x'`r`n")
        $folder = 'C:\Users\Jörg Müller\AppData\Roaming\RustDesk\config'
        [System.IO.File]::ReadAllBytes("$folder\RustDesk2.toml") | Should -Be $expected
        (Get-ChildItem -Force $folder).Name | Should -Be @('RustDesk2.toml')
    }
    It 'has no settings at <_>' -ForEach @(
        'C:\Users\anna\AppData\Roaming\RustDesk'
        'C:\Windows\ServiceProfiles\LocalService\AppData\Roaming\RustDesk'
    ) {
        $_ | Should -Not -Exist
    }
}
