# SPDX-License-Identifier: GPL-3.0-or-later
# Processes: locks, the keeper, steps and guards with their limit of time, and ending one with all that it has started.

function Open-Lock {
    # A file that nobody else can open until this process closes it, or ends; nothing if somebody else has it.
    param ([string]$Path)
    try {
        return [IO.File]::Open($Path, [IO.FileMode]::OpenOrCreate, [IO.FileAccess]::ReadWrite, [IO.FileShare]::None)
    }
    catch {
        if ($_.Exception.GetBaseException().HResult -ne $SHARING_VIOLATION) { throw }
        return $null
    }
}

function Wait-Lock {
    param ([string]$Path, [int64]$Seconds)
    $until = (Get-Uptime) + $Seconds
    while ($true) {
        $lock = Open-Lock $Path
        if ($null -ne $lock -or (Get-Uptime) -ge $until) { return $lock }
        Start-Sleep -Milliseconds $POLL_MS
    }
}

function Get-PowerShellPath {
    # Windows PowerShell is on every host, and it is what the agent takes.
    return "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
}

function Get-ScriptArgument {
    # As the agent runs scripts.
    param ([string]$File)
    return "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$File`""
}

function Get-RunnerArgument {
    # The same for a verb of this runner.
    param ([string[]]$Words)
    $quoted = @($Words | ForEach-Object { '"' + $_ + '"' })
    return (Get-ScriptArgument "$script:delivery\runner.ps1") + ' ' + ($quoted -join ' ')
}

function Start-Keeper {
    # A process of the WMI service's: neither a child of ours nor in a job of the agent's. Returns its id.
    $arguments = @{
        CommandLine = '"' + (Get-PowerShellPath) + '" ' + (Get-RunnerArgument 'keep', $script:run, $script:delivery)
        CurrentDirectory = "$env:SystemDrive\"
    }
    # CREATE_BREAKAWAY_FROM_JOB: the WMI service has a job of its own, which limits what is in it.
    $made = $null
    try {
        $class = Get-CimClass -ClassName Win32_ProcessStartup
        $startup = New-CimInstance -CimClass $class -ClientOnly -Property @{ CreateFlags = [uint32]16777216 }
        $whole = $arguments + @{ ProcessStartupInformation = [CimInstance]$startup }
        $made = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments $whole
    }
    catch { $made = $null }
    # Should there be two of them after all, the second finds the lock taken, and ends.
    if ($null -eq $made -or $made.ReturnValue -ne 0) {
        $made = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments $arguments
    }
    if ($made.ReturnValue -ne 0) { throw "Win32_Process.Create of the keeper returned $($made.ReturnValue)" }
    return [int]$made.ProcessId
}

function Start-Child {
    # A child of this process, without a window.
    param ([string]$File, [string]$Arguments)
    $info = New-Object Diagnostics.ProcessStartInfo
    $info.FileName = $File
    $info.Arguments = $Arguments
    $info.WorkingDirectory = "$env:SystemDrive\"
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    return [Diagnostics.Process]::Start($info)
}

function Invoke-Lead {
    # Write down who we are, then do one step in a job that ends when we do.
    param ([string]$Run, [string]$Step, [string]$Attempt)
    Enter-Step $Run $Step
    $job = [CloudOpsAlibaba.Native]::JoinJob()
    $words = (Get-BootId), $PID, (Get-StartTime $PID), (Get-StepContent), $Attempt, (Get-Uptime), $script:step.timeout_s
    if (-not (Write-Record "$script:records\started" ($words -join ' '))) { exit $EXIT_RECORD }
    if ($script:step.builtin) {
        $arguments = Get-RunnerArgument 'os_updates', $Run, $Step
        Invoke-Limited $job $arguments $script:step.timeout_s @(0, $EXIT_RESTART, $STEP_UNCHANGED)
    }
    Invoke-Limited $job (Get-ScriptArgument "$Step\script.ps1") $script:step.timeout_s @(0, $EXIT_RESTART)
}

function Invoke-Guard {
    param ([string]$Run, [string]$Step)
    Enter-Step $Run $Step
    $job = [CloudOpsAlibaba.Native]::JoinJob()
    Invoke-Limited $job (Get-ScriptArgument "$Step\unless.ps1") $GUARD_TIMEOUT_S @(0)
}

function Enter-Step {
    # What a process that works on one step has to know.
    param ([string]$Run, [string]$Step)
    Set-Run $Run
    Read-Request (Split-Path -Path (Split-Path -Path $Step))
    Read-Step $Step
}

function Invoke-Limited {
    # Run a script for at most so many seconds, then end with its exit code. With one that is not good, and when the
    # time is over, whoever it has started ends too.
    param ([IntPtr]$Job, [string]$Arguments, [int64]$Seconds, [int[]]$Good)
    $output = "$script:records\output.$PID"
    # Through a pipe, whoever is left at work by a step could keep us waiting. cmd.exe opens the file for it.
    $command = "`"$(Get-PowerShellPath)`" $Arguments >`"$output`" 2>&1 <NUL"
    $child = Start-Child "$env:SystemRoot\System32\cmd.exe" "/d /s /c `"$command`""
    if ($child.WaitForExit((ConvertTo-Millisecond $Seconds))) {
        $code = $child.ExitCode
        if ($Good -contains $code) {
            [CloudOpsAlibaba.Native]::ReleaseJob($Job)
            exit $code
        }
    }
    else {
        $code = $EXIT_OVERDUE
        [IO.File]::WriteAllText("$script:run\overdue.$PID", '')
    }
    [CloudOpsAlibaba.Native]::EndJob($Job, $code)
    exit $code
}

function ConvertTo-Millisecond {
    # No more than .NET can wait: 24 days.
    param ([int64]$Seconds)
    return [int][Math]::Min($Seconds * 1000, [int]::MaxValue)
}

function Wait-Child {
    # Start a verb of the runner that watches over itself, and wait for its end. Sets status.
    param ([string[]]$Words, [int64]$Seconds)
    $child = Start-Child (Get-PowerShellPath) (Get-RunnerArgument $Words)
    $overdue = "$script:run\overdue.$($child.Id)"
    if (-not $child.WaitForExit((ConvertTo-Millisecond ($Seconds + $START_GRACE_S)))) {
        [IO.File]::WriteAllText($overdue, '')
        Stop-Session $child.Id
    }
    $script:status = "exit status $($child.ExitCode)"
    if ([IO.File]::Exists($overdue)) {
        $script:status = "no end within $Seconds s"
        [IO.File]::Delete($overdue)
    }
    Save-Output $child.Id
}

function Save-Output {
    # What a step or a guard has printed goes to the log. Whoever it has left at work may still have the file open.
    param ([int]$Leader)
    $file = "$script:records\output.$Leader"
    if (-not [IO.File]::Exists($file)) { return }
    try {
        $share = [IO.FileShare]'ReadWrite, Delete'
        $from = [IO.File]::Open($file, [IO.FileMode]::Open, [IO.FileAccess]::Read, $share)
        $to = [IO.File]::Open("$script:run\log", [IO.FileMode]::Append, [IO.FileAccess]::Write, [IO.FileShare]::Read)
        try { $from.CopyTo($to) }
        finally {
            $from.Dispose()
            $to.Dispose()
        }
        [IO.File]::Delete($file)
    }
    catch { Add-Log "what it printed is in $file" }
}

function Stop-Session {
    # End a step: all that is in its job ends with its leader.
    param ([int]$Leader)
    try {
        $process = [Diagnostics.Process]::GetProcessById($Leader)
        $process.Kill()
        [void]$process.WaitForExit($TERM_GRACE_S * 1000)
    }
    catch { if (Get-StartTime $Leader) { throw } }
}

function Test-Session {
    # Whether a step lives: its leader does, and nobody else has its number.
    param ([string]$Leader, [string]$Start)
    return $Start -ne '' -and (Get-StartTime $Leader) -eq $Start
}

function Get-StartTime {
    # When a process began; empty when there is no such process.
    param ([string]$Number)
    try {
        $process = [Diagnostics.Process]::GetProcessById([int]$Number)
        if ($process.HasExited) { return '' }
        return $process.StartTime.ToFileTimeUtc().ToString($INVARIANT)
    }
    catch { return '' }
}
