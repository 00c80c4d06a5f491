# SPDX-License-Identifier: GPL-3.0-or-later
# The step runner of cloudops.alibaba for Windows. It runs on the host, in PowerShell 5.1 and 7.
#
#   runner.ps1 continue BASE DELIVERY SCRIPT   carry the run on, and tell how far it is (the one verb of the
#                                        controller); SCRIPT is the agent's copy of the delivery, if there is one
#   runner.ps1 keep RUN DELIVERY         the keeper: does the work, in a process that is none of the agent's
#   runner.ps1 lead RUN STEP ATTEMPT     does one step, in a job of its own, for no longer than it may take
#   runner.ps1 guard RUN STEP            the same with the guard of a step
#   runner.ps1 os_updates RUN STEP       the built-in step: Windows Update
#
# It is sent as one script, joined from this file (the runner: started by the agent, waits for the keeper), keeper.ps1,
# restart.ps1, session.ps1, os_updates.ps1, records.ps1, native.ps1 and start.ps1, without the lines that are comments.
# It has not run on a real Windows yet.
#
# What it does and what it writes down is the same as with runner.sh, which tells of the records. It differs where
# Windows does:
#
#   BASE                     ProgramData\cloudops.alibaba, for SYSTEM and Administrators only
#   BASE\lock, RUN\lock      open and shared with nobody, so that Windows lets go of them with their process
#   BASE\boot.lock           the same, while the identity of the boot is looked up
#   the boot id              LastBootUpTime, as it was seen first in this boot
#   RUN\overdue.PID          the lead itself ends its step in time: there is no watch beside it
#   RUN\steps\NAME\output.PID  what an attempt prints, until it has ended and the keeper has put it into the log
#   RUN\updates              updates installed, one a line: id.revision, boot, restart or none, name
#   EXIT_RESTART             3010
#
# Functions whose names begin with Stop-Keeper, Stop-Runner or Stop-Step do not return, unless they say when they do.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$INVARIANT = [Globalization.CultureInfo]::InvariantCulture
[Threading.Thread]::CurrentThread.CurrentCulture = $INVARIANT

$EXIT_FAILED = 1
$EXIT_LATER = 75
$EXIT_LATE = 76
$EXIT_REFUSED = 78
$EXIT_RECORD = 79
$EXIT_OVERDUE = 80
$EXIT_RESTART = 3010
# Built-in steps only.
$STEP_UNCHANGED = 100

$CLOCK_SKEW_S = 300
$TERM_GRACE_S = 10
$GUARD_TIMEOUT_S = 60
$LOCK_PATIENCE_S = 600
$LOCK_PAUSE_S = 5
$KEEP_RUNS_DAYS = 30
$SUMMARY_LOG_LINES = 15
# A process of PowerShell compiles a little before it begins, on a slow host that takes its time.
$START_GRACE_S = 120
$HANDOVER_S = 15
$BOOT_LOCK_S = 60
$POLL_MS = 500
$WRITE_TRIES = 5
$SHARING_VIOLATION = -2147024864
# A trailer has at most 4 KB; packages get what the rest leaves of it.
$TRAILER_BYTES = 4050
$WORD_BYTES = 200
$RESTARTS_BYTES = 700
$PACKAGES_BYTES = 1500

$BOOT_KEY = 'SOFTWARE\cloudops.alibaba.boot'
$BOOT_TIME = '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$'

$script:again = 'no'
$script:attempt = 0
$script:base = ''
$script:blame = 'script'
$script:boot = ''
$script:delivery = ''
$script:ends_at = 0
$script:evidence = ''
$script:evidence_reason = ''
$script:failed_step = ''
$script:host_lock = $null
$script:keeper = 0
$script:keeper_start = ''
$script:lock = $null
$script:method = ''
$script:more_rounds = $false
$script:outcome = ''
$script:records = ''
$script:request = $null
$script:run = ''
$script:stale = ''
$script:status = ''
$script:step = $null
$script:wait_s = 0
$script:wants_restart = $false

function Invoke-Verb {
    param ([string[]]$Words)
    $version = $PSVersionTable.PSVersion
    if ($version.Major -lt 5 -or ($version.Major -eq 5 -and $version.Minor -lt 1)) {
        Write-Plain "cloudops.alibaba: PowerShell is $version here, and the step runner needs 5.1"
        exit $EXIT_REFUSED
    }
    try { Import-Native }
    catch {
        $said = $_.Exception.GetBaseException().Message
        Write-Plain "cloudops.alibaba: the step runner cannot compile its calls of Windows: $said"
        exit $EXIT_REFUSED
    }
    switch ($Words[0]) {
        'continue' {
            Clear-AgentCopy $Words[3]
            Invoke-Continue $Words[1] $Words[2]
        }
        'keep' { Invoke-Keep $Words[1] $Words[2] }
        'lead' { Invoke-Lead $Words[1] $Words[2] $Words[3] }
        'guard' { Invoke-Guard $Words[1] $Words[2] }
        'os_updates' { Invoke-OsUpdate $Words[1] $Words[2] }
    }
    exit $EXIT_REFUSED
}

function Clear-AgentCopy {
    # The agent keeps its copy of a delivery readable for everybody. Emptied it tells nobody anything; removed it would
    # let the agent run a command again that it is given twice.
    param ([string]$Path)
    try { if ($Path) { [IO.File]::WriteAllText($Path, '') } }
    catch { return }
}

function Invoke-Continue {
    param ([string]$Base, [string]$Delivery)
    Read-Request $Delivery
    Set-Run "$Base\runs\$($script:request.run_id)"
    try {
        [void][IO.Directory]::CreateDirectory("$script:run\steps")
        $script:boot = Get-BootId
        if ($script:request.mode -ne 'patch') { Stop-Runner refused $EXIT_REFUSED 'assessing is not there for Windows' }
        Start-Clock
        if (-not (Test-InTime)) { Stop-Runner late $EXIT_LATE 'before the first step' }
        if ($script:boot -notmatch $BOOT_TIME) { Stop-Runner refused $EXIT_REFUSED 'the boot time is unknown' }
        Test-Identity
        Remove-OldRun
        $lock = Open-Lock "$script:run\lock"
        if ($null -ne $lock) {
            # What an earlier keeper told is no answer to this delivery, even if this one comes to nothing.
            Remove-Record "$script:run\trailer"
            $script:keeper = Start-Keeper
            $script:keeper_start = Get-StartTime $script:keeper
            $lock.Dispose()
        }
    }
    catch {
        $said = $_.Exception.GetBaseException().Message
        if ($script:keeper -eq 0) { Stop-Runner failed $EXIT_FAILED "cannot start: $said" instance }
        Stop-Runner pending $EXIT_LATER "cannot wait for the keeper: $said"
    }
    Wait-Keeper
    Send-Trailer
}

function Wait-Keeper {
    # Until our own keeper has told, or nobody is at work. Sets lock if it holds the run's.
    while ($true) {
        $ours = $script:keeper -ne 0 -and (Test-Session $script:keeper $script:keeper_start)
        if (-not $ours) {
            if (Test-OurTrailer (Read-Record "$script:run\trailer")) { return }
            $script:lock = Open-Lock "$script:run\lock"
            if ($null -ne $script:lock) { return }
        }
        if (-not (Test-InTime)) { Stop-Runner busy $EXIT_LATER 'the steps still run' }
        Start-Sleep -Milliseconds $POLL_MS
    }
}

function Send-Trailer {
    # The keeper has ended: pass on what it told. Of another delivery's keeper only its word on the very same work is
    # passed on; whoever waited for somebody else never asks for a restart.
    $trailer = Read-Record "$script:run\trailer"
    if ($trailer -eq '') {
        if (-not (Write-Record "$script:run\writable" 'yes')) {
            Stop-Runner failed $EXIT_FAILED "cannot write ${script:run}: perhaps its disk is full" instance
        }
        Stop-Runner pending $EXIT_LATER 'the keeper was killed'
    }
    if (-not (Test-OurTrailer $trailer)) {
        if (-not $trailer.Contains(" work=$($script:request.work) ")) {
            Stop-Runner pending $EXIT_LATER 'the keeper was at work on other steps of the run'
        }
        Remove-Delivery
        Show-Summary
        $said = $trailer.Substring(0, $trailer.LastIndexOf(' cksum='))
        Write-Plain (Add-Checksum "$said replayed=yes")
        exit 0
    }
    Show-Summary
    Write-Plain $trailer
    if ($trailer.Contains(' state=done ')) { exit 0 }
    if ($trailer.Contains(' state=restart method=api ')) { exit 0 }
    if ($trailer.Contains(' state=restart ')) {
        # Better no restart than one after the controller has given this host up.
        if (-not (Test-InTime)) { exit $EXIT_LATE }
        exit $EXIT_RESTART
    }
    if ($trailer.Contains(' state=pending ')) { exit $EXIT_LATER }
    if ($trailer.Contains(' state=late ')) { exit $EXIT_LATE }
    if ($trailer.Contains(' state=refused ')) { exit $EXIT_REFUSED }
    exit $EXIT_FAILED
}

function Test-OurTrailer {
    param ([string]$Trailer)
    return $Trailer.Contains(" for=$(Split-Path -Path $script:delivery -Leaf) ")
}

function Show-Summary {
    foreach ($line in (Get-Line "$script:run\summary")) { Write-Plain $line }
}

function Stop-Runner {
    # End without a keeper's word. A keeper that was started may still work out of the delivery.
    param ([string]$State, [int]$Code, [string]$Reason, [string]$Blame = 'script')
    $words = 'blame={0} reason={1} log={2}' -f $Blame, (ConvertTo-Word $Reason), (Get-LogWord)
    Write-Plain (Add-Checksum "$(Get-TrailerStart $State none) $words")
    if ($script:keeper -eq 0) { Remove-Delivery }
    exit $Code
}

function Get-LogWord {
    return "$script:run\log".Replace(' ', '%20')
}

function Remove-Delivery {
    Remove-Item -LiteralPath $script:delivery -Recurse -Force -ErrorAction SilentlyContinue
}

function Start-Clock {
    # From here on time is uptime: the host's clock may be set while the steps run.
    $now = Get-Epoch
    # With a clock that is behind, the host would believe that it has time left after the controller has given it up.
    $behind_s = [Math]::Max([int64]$script:request.sent_at - $now, [int64]0)
    $script:ends_at = (Get-Uptime) + [int64]$script:request.not_after - $behind_s - $now
    if ($behind_s -gt $CLOCK_SKEW_S) { Stop-Runner refused $EXIT_REFUSED "the clock is $behind_s s behind" }
    [IO.File]::AppendAllText("$script:delivery\request", "ends_at=$script:ends_at`n")
}

function Test-InTime {
    return (Get-Uptime) -le $script:ends_at
}

function Get-SecondsLeft {
    return [Math]::Max($script:ends_at - (Get-Uptime), [int64]1)
}

function Test-Identity {
    # Records of a clone or of a restored copy belong to another machine: start afresh, keep the old ones aside.
    $key = 'HKLM:\SOFTWARE\Microsoft\Cryptography'
    $guid = (Get-ItemProperty -LiteralPath $key -Name MachineGuid).MachineGuid
    $uuid = (Get-CimInstance -ClassName Win32_ComputerSystemProduct).UUID
    $identity = "$guid $uuid"
    $recorded = Read-Record "$script:run\identity"
    if ($recorded -ne '' -and $recorded -ne $identity) {
        [IO.Directory]::Move($script:run, "$script:run.of-another-machine.$(Get-Epoch)")
        [void][IO.Directory]::CreateDirectory("$script:run\steps")
    }
    if (-not (Write-Record "$script:run\identity" $identity)) { throw "cannot write $script:run\identity" }
}

function Remove-OldRun {
    $month = [DateTime]::UtcNow.AddDays(-$KEEP_RUNS_DAYS)
    $day = [DateTime]::UtcNow.AddDays(-1)
    $old = @(Get-ChildItem -LiteralPath "$script:base\runs" -Directory |
            Where-Object { $_.FullName -ne $script:run -and $_.LastWriteTimeUtc -lt $month })
    $old += @(Get-ChildItem -LiteralPath $script:base -Directory -Filter 'delivery.*' |
            Where-Object { $_.LastWriteTimeUtc -lt $day })
    foreach ($folder in $old) {
        Remove-Item -LiteralPath $folder.FullName -Recurse -Force -ErrorAction SilentlyContinue
    }
}
