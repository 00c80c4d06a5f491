# SPDX-License-Identifier: GPL-3.0-or-later
# The keeper: does the work, in a process of its own, step after step.

function Invoke-Keep {
    param ([string]$Run, [string]$Delivery)
    Set-Run $Run
    Read-Request $Delivery
    # The runner that has started us lets go of the lock; whoever else holds it is a keeper at work.
    $script:lock = Wait-Lock "$Run\lock" $HANDOVER_S
    if ($null -eq $script:lock) { exit 0 }
    try {
        $script:ends_at = [int64]$script:request.ends_at
        $script:method = $script:request.method
        $script:boot = Get-BootId
        [IO.File]::WriteAllText("$Run\summary", '')
        Wait-OtherRun
        Test-Plan
        Resolve-Restart
        $wanted = Read-Record "$Run\restart_wanted"
        if ($wanted -ne '') { Request-RestartFor $wanted }
        for ($number = 1; $number -le [int]$script:request.steps; $number++) {
            Invoke-Step (Get-StepFolder $number)
        }
        Complete-Run
    }
    catch {
        Add-Log "$($_.Exception.GetBaseException().Message) $($_.ScriptStackTrace)"
        $said = "the step runner failed: $($_.Exception.GetBaseException().Message)"
        $script:blame = 'instance'
        # While a step is at work, nobody can say that it is over.
        $boot, $leader, $start, $rest = Read-Word "$script:records\started" 4
        if (Test-Session $leader $start) { Stop-Keeper pending $said }
        Stop-Keeper failed $said
    }
}

function Test-Plan {
    # A run that restarts in any case and one that restarts if need be are two runs: the first one's restart must not
    # count for the second.
    $plan = 'always=no'
    if ($script:request.restart -eq 'always') { $plan = 'always=yes' }
    if (-not (Test-Record "$script:run\plan")) { Save-Record "$script:run\plan" $plan }
    if ((Read-Record "$script:run\plan") -ne $plan) {
        Stop-Keeper refused ('the run id is one that restarts by another rule: give the restart of its first start, ' +
            'or another run id')
    }
}

function Wait-OtherRun {
    # One run at a time works on a host; and a host that another run is about to restart is no place to begin anything.
    # Once the settle time is over, that run has been given up, or asks again by itself. The lock is gone with a keeper
    # that was killed, and the step that it leaves at work is not.
    $script:host_lock = Wait-Lock "$script:base\lock" (Get-SecondsLeft)
    if ($null -eq $script:host_lock) { Stop-Keeper late 'another run was at work on this host' }
    foreach ($folder in @(Get-ChildItem -LiteralPath "$script:base\runs" -Directory)) {
        $other = $folder.FullName
        if ($other -eq $script:run) { continue }
        $boot, $method, $uptime, $rest = Read-Word "$other\restart_requested" 4
        if ($boot -eq $script:boot) {
            Stop-KeeperWhileRestartMayCome $method $uptime "run $($folder.Name) asked for a restart"
        }
        if (-not [IO.Directory]::Exists("$other\steps")) { continue }
        foreach ($step in @(Get-ChildItem -LiteralPath "$other\steps" -Directory)) {
            $records = $step.FullName
            if (-not (Test-Record "$records\started")) { continue }
            if ((Test-Record "$records\finished") -or (Test-Record "$records\failed")) { continue }
            Stop-KeeperWhileStepLives "$records\started" "step $($step.Name) of run $($folder.Name) still runs"
        }
    }
}

function Stop-KeeperWhileStepLives {
    # End as pending while the step that another run's record tells of is at work; else return. All of a step ends with
    # its leader, which may take a little longer than its time.
    param ([string]$Record, [string]$Reason)
    $boot, $leader, $start, $content, $attempt, $uptime, $timeout_s = Read-Word $Record 7
    if ($boot -ne $script:boot -or -not (Test-Session $leader $start)) { return }
    $script:wait_s = [Math]::Max([int64]$uptime + [int64]$timeout_s - (Get-Uptime), [int64]$TERM_GRACE_S)
    Stop-Keeper pending $Reason
}

function Invoke-Step {
    # Run a step unless it is done, then restart if it asks for that.
    param ([string]$Folder)
    Read-Step $Folder
    $name = $script:step.name
    [void][IO.Directory]::CreateDirectory($script:records)
    if (Test-Record "$script:records\finished") {
        $state, $attempts, $at, $content = Read-Word "$script:records\finished" 4
        if ($content -ne (Get-StepContent)) { Add-Summary "${name}: finished earlier in this run, with another script" }
        return
    }
    $script:attempt = 0
    if (Test-Record "$script:records\started") { Resolve-StartedStep }
    if (-not (Test-InTime)) { Stop-Keeper late "before step $name" }
    if ([IO.File]::Exists("$Folder\unless.ps1") -and (Test-Guard)) {
        Complete-Step skipped
        return
    }
    while ($true) {
        if (-not (Test-InTime)) { Stop-Keeper late "before attempt $($script:attempt + 1) of step $name" }
        if (Invoke-Attempt) { break }
        Stop-StepAfterLastAttempt
    }
    if ($script:more_rounds) { Request-NextRound }
    # Before the step counts as finished, or a power cut in between would lose the wish.
    if ($script:wants_restart) { Save-Record "$script:run\restart_wanted" "step:$name" }
    Complete-Step $script:outcome
    Request-RestartAfterStep
}

function Resolve-StartedStep {
    # The records say that the step began, and not that it finished.
    $boot, $leader, $start, $content, $attempt, $uptime, $timeout_s = Read-Word "$script:records\started" 7
    $script:attempt = [int]$attempt
    if (Test-Record "$script:records\failed") {
        # It ended, and failed: it may be tried anew, and may have been mended meanwhile.
        $script:attempt = 0
    }
    elseif ($boot -eq $script:boot -and (Test-Session $leader $start)) {
        # It is at work, and its keeper was killed: its time is as long as ever.
        $script:wait_s = [int64]$uptime + [int64]$timeout_s - (Get-Uptime)
        if ($script:wait_s -gt 0) { Stop-Keeper pending "step $($script:step.name) still runs" }
        $script:wait_s = 0
        Stop-LateAttempt $leader $timeout_s
    }
    elseif ($boot -eq $script:boot -and [IO.File]::Exists("$script:run\overdue.$leader")) {
        # Its leader has outlived its keeper, and has ended it.
        [IO.File]::Delete("$script:run\overdue.$leader")
        Stop-LateAttempt $leader $timeout_s
    }
    elseif ($content -ne (Get-StepContent)) {
        Stop-Keeper refused "step $($script:step.name) has changed since it began"
    }
    elseif ($script:step.rerun -ne 'yes' -and -not [IO.File]::Exists("$($script:step.folder)\unless.ps1")) {
        $script:blame = 'lost'
        Save-Output $leader
        Stop-Step 'was interrupted, and has neither a guard (unless) nor rerun: look how far it came'
    }
    else { Save-Output $leader }
}

function Stop-LateAttempt {
    # Returns when there are attempts left.
    param ([string]$Leader, [string]$Seconds)
    $script:status = "no end within $Seconds s"
    Stop-Session $Leader
    Save-Output $Leader
    Save-FailedAttempt
    Stop-StepAfterLastAttempt
}

function Test-Guard {
    # Whether the guard says that the step is done.
    Add-Log "step $($script:step.name): its guard runs"
    Wait-Child 'guard', $script:run, $script:step.folder $GUARD_TIMEOUT_S
    if ($script:status -eq 'exit status 0') { return $true }
    # What ends with a negative number, as programs that crash do, has given no answer.
    if ($script:status -match '^exit status \d+$') { return $false }
    Stop-Step 'has a guard that came to no end: it is unknown whether the step is done'
}

function Invoke-Attempt {
    # Make one attempt; whether it succeeded. Sets status, outcome, wants_restart and more_rounds.
    $step = $script:step
    $script:attempt++
    $script:wants_restart = $step.restart -eq 'always'
    $script:outcome = 'done'
    $script:more_rounds = $false
    $script:evidence = ''
    Remove-Record "$script:records\failed"
    Add-Log "step $($step.name): attempt $($script:attempt) starts"
    Wait-Child 'lead', $script:run, $step.folder, "$script:attempt" ([int64]$step.timeout_s)
    if ($script:status -eq 'exit status 0') { return $true }
    if ($step.builtin -and $script:status -eq "exit status $STEP_UNCHANGED") {
        $script:outcome = 'unchanged'
        return $true
    }
    if ($script:status -eq "exit status $EXIT_RESTART") {
        if ($step.builtin) {
            # Only os_updates that may restart ends like this: what there is to do after it is known after it.
            $script:more_rounds = $true
            return $true
        }
        # The step itself asks for a restart, as scripts made for the agent do.
        $script:wants_restart = $step.restart -ne 'never'
        if (-not $script:wants_restart) { Add-Summary "$($step.name): asks for a restart, and may not have one" }
        return $true
    }
    Save-FailedAttempt
    return $false
}

function Request-NextRound {
    # The step goes on after a restart, and begins anew then: its attempts are for one round.
    Save-Record "$script:run\restart_wanted" "step:$($script:step.name)"
    Remove-Record "$script:records\started"
    Add-Summary "$($script:step.name): goes on after a restart"
    Request-RestartFor "step:$($script:step.name)"
}

function Save-FailedAttempt {
    Save-Record "$script:records\failed" "$script:attempt $script:status"
    Add-Log "step $($script:step.name): attempt $script:attempt failed ($script:status)"
}

function Stop-StepAfterLastAttempt {
    # Returns when there are attempts left.
    if ($script:attempt -lt [int]$script:step.attempts) { return }
    if ($script:status.StartsWith('no end within')) { $script:blame = 'timeout' }
    Stop-Step "failed ($script:status), attempt $script:attempt of $($script:step.attempts)"
}

function Complete-Step {
    param ([string]$State)
    $name = $script:step.name
    Save-Record "$script:records\finished" "$State $script:attempt $(Get-Now) $(Get-StepContent)"
    Add-Summary "${name}: $State"
    Add-Log "step ${name}: $State"
}

function Stop-Step {
    param ([string]$Reason)
    $name = $script:step.name
    $script:failed_step = $name
    Add-Summary "${name}: $Reason"
    Add-Summary 'the end of the log:'
    $lines = @(Get-Content -LiteralPath "$script:run\log" -Tail $SUMMARY_LOG_LINES -ErrorAction SilentlyContinue)
    foreach ($line in $lines) { Add-Summary $line }
    Stop-Keeper failed "step $name $Reason"
}

function Complete-Run {
    # After the last step: the run's own policy.
    if ($script:request.restart -eq 'always' -and -not (Test-Record "$script:run\restarts")) {
        Request-Restart always
    }
    Request-RestartOnEvidence
    # Only a restart through the API settles a system event; one that this run has had is enough.
    $by_api = @((Get-Line "$script:run\restarts") -match '^api ')
    if ($script:request.event -eq 'yes' -and $by_api.Count -eq 0) { Request-RestartFor system_event }
    Stop-Keeper 'done' ''
}

function Stop-Keeper {
    # The keeper's last act: the trailer.
    param ([string]$State, [string]$Reason)
    Add-Log ("state $State $Reason".TrimEnd())
    $states = @()
    $changed = 'no'
    for ($number = 1; $number -le [int]$script:request.steps; $number++) {
        Read-Step (Get-StepFolder $number)
        $name = $script:step.name
        $step_state = 'pending'
        $made = 0
        if (Test-Record "$script:records\finished") {
            $step_state, $made, $rest = Read-Word "$script:records\finished" 3
        }
        elseif ($script:failed_step -eq $name) {
            $step_state = 'failed'
            $made = $script:attempt
        }
        if ($step_state -eq 'done') { $changed = 'yes' }
        $states += "${name}:${step_state}:$made"
    }
    $packages = Get-Line "$script:run\packages"
    $evidence = $script:evidence
    if ($evidence -eq '') { $evidence = 'unknown' }
    $words = @(
        (Get-TrailerStart $State $script:method)
        'again={0} wait={1} blame={2}' -f $script:again, $script:wait_s, $script:blame
        'reason={0} log={1}' -f (ConvertTo-Word $Reason), (Get-LogWord)
        'for={0} work={1}' -f (Split-Path -Path $script:delivery -Leaf), $script:request.work
        'changed={0} steps={1}' -f $changed, ($states -join ',')
        'evidence={0} evidence_reason={1}' -f $evidence, (ConvertTo-Word $script:evidence_reason)
        'stale={0}' -f (ConvertTo-Word $script:stale)
        'restarts={0}' -f (ConvertTo-Pack (Get-Line "$script:run\restarts") $RESTARTS_BYTES)
        'packages_count={0}' -f $packages.Count
        'packages='
    ) -join ' '
    $room = [Math]::Min($TRAILER_BYTES - $words.Length, $PACKAGES_BYTES)
    # Without room for the trailer the runner says so.
    [void](Write-Record "$script:run\trailer" (Add-Checksum ($words + (ConvertTo-Pack $packages $room))))
    Remove-Delivery
    exit 0
}
