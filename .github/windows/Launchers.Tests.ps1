# What the launchers do on real Windows, as tests/testinfra/bundle/test_launcher.py sees it under Wine: built for the example site,
# in a folder with umlauts, with a rustdesk.exe that is cmd.exe. LAUNCHERS names the folder that holds the two programs.
BeforeAll {
    $script:Folder = Join-Path $env:RUNNER_TEMP 'Bündel Müller'
    New-Item -ItemType Directory -Force $Folder | Out-Null
    Copy-Item "$env:LAUNCHERS\*.exe" $Folder
    Copy-Item "$env:SystemRoot\System32\cmd.exe" "$Folder\rustdesk.exe"
    $script:Before = "# eigene`r`n[options]`r`nkey = 'alt' # Größe`r`n"

    # A program without a console of its own is waited for, and heard, through redirected output only.
    function Invoke-Launcher([string]$Program, [string[]]$Arguments, [string]$ApplicationData) {
        $start = [Diagnostics.ProcessStartInfo]::new("$Folder\$Program")
        foreach ($argument in $Arguments) { $start.ArgumentList.Add($argument) }
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $start.StandardOutputEncoding = $start.StandardErrorEncoding = [Text.Encoding]::UTF8
        $start.Environment['APPDATA'] = $ApplicationData
        $start.Environment['RUSTDESK_LAUNCHER_LANG'] = 'en'
        $process = [Diagnostics.Process]::Start($start)
        $problems = $process.StandardError.ReadToEndAsync()
        $out = $process.StandardOutput.ReadToEnd()
        $process.WaitForExit()
        [pscustomobject]@{ Code = $process.ExitCode; Out = $out; Problems = $problems.Result }
    }
}

Describe 'The launchers' {
    BeforeEach {
        $script:Data = Join-Path $env:RUNNER_TEMP "Jörg $([guid]::NewGuid())"
        $script:Settings = "$Data\RustDesk\config\RustDesk2.toml"
        New-Item -ItemType Directory -Force (Split-Path $Settings) | Out-Null
        [IO.File]::WriteAllText($Settings, $Before)
    }

    It 'say for whom they were built' {
        $done = Invoke-Launcher launcher.exe @('--version') $Data
        $done.Code | Should -Be 0
        $done.Out | Should -Match 'ID server: rustdesk\.example\.org'
    }

    It 'write the settings, keep the rest, and give everything back' {
        (Invoke-Launcher launcher.exe @('--apply') $Data).Code | Should -Be 0
        $now = [IO.File]::ReadAllText($Settings)
        $now | Should -Match "(?s)^# eigene\r\n\[options\]\r\nkey = '5Qbw.*' # Größe\r\ncustom-rendezvous-server = 'rustdesk.example.org'\r\n$"
        (Invoke-Launcher launcher.exe @('--apply') $Data).Code | Should -Be 0
        (Invoke-Launcher reset.exe @() $Data).Code | Should -Be 0
        [IO.File]::ReadAllText($Settings) | Should -BeExactly $Before
        (Get-ChildItem (Split-Path $Settings)).Name | Should -Be 'RustDesk2.toml'
    }

    It 'pass arguments on, and the exit code back' {
        $done = Invoke-Launcher launcher.exe @('/c', 'exit 42') $Data
        $done.Code | Should -Be 42
        $done.Problems | Should -Match 'is not RustDesk'
    }

    It 'leave nothing behind when the file is held open' {
        $held = [IO.File]::Open($Settings, 'Open', 'Read', 'None')
        try { $done = Invoke-Launcher launcher.exe @('--apply') $Data } finally { $held.Dispose() }
        $done.Code | Should -Be 1
        [IO.File]::ReadAllText($Settings) | Should -BeExactly $Before
        (Get-ChildItem (Split-Path $Settings)).Name | Should -Be 'RustDesk2.toml'
    }

    It 'respect a read-only file' {
        Set-ItemProperty $Settings IsReadOnly $true
        $done = Invoke-Launcher launcher.exe @('--apply') $Data
        Set-ItemProperty $Settings IsReadOnly $false
        $done.Code | Should -Be 1
        $done.Problems | Should -Match 'is read-only'
        [IO.File]::ReadAllText($Settings) | Should -BeExactly $Before
    }
}
