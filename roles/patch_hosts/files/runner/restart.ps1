# SPDX-License-Identifier: GPL-3.0-or-later
# Restarts: asked for once, and proven by the boot time.

function Resolve-Restart {
    # A restart was asked for: has it happened?
    if (-not (Test-Record "$script:run\restart_requested")) { return }
    $before, $asked_method, $asked_uptime, $asked_at, $reason = Read-Word "$script:run\restart_requested" 5
    if ($before -ne $script:boot) {
        # A request is proven once, even if the power goes between this and the removal of the request.
        $proven = Get-Line "$script:run\restarts"
        $known = @($proven | Where-Object { ($_ -split ' ')[1] -eq $before })
        if ($known.Count -eq 0) {
            $proven += "$asked_method $before $script:boot $asked_at $(Get-Now) $reason"
            Save-Record "$script:run\restarts" ($proven -join "`n")
        }
        # What asks for a restart right after one is not cured by another.
        Find-Evidence
        if ($script:evidence -ne 'required') { $script:evidence_reason = '' }
        Save-Record "$script:run\stale_reason" (ConvertTo-Word $script:evidence_reason)
        # A wish that is still there is older than this boot: the power went while it became the request.
        Remove-Record "$script:run\restart_wanted"
        Remove-Record "$script:run\restart_requested"
        Add-Summary "restarted: the boot time was $before and is $script:boot"
        return
    }
    if ($script:request.restart -eq 'never') {
        Add-Summary "a restart was requested earlier ($reason), and this run may not restart"
        $script:evidence = 'required'
        $script:evidence_reason = $reason
        return
    }
    # The same boot. Young: it may be on its way down. Old: nobody heard, and in this boot asking again is safe, as
    # long as it is by the same method.
    $script:method = $asked_method
    $script:again = 'yes'
    Stop-KeeperWhileRestartMayCome $asked_method $asked_uptime 'a restart was requested'
    Request-Restart $reason
}

function Stop-KeeperWhileRestartMayCome {
    # End as pending while a restart by a method, requested at an uptime, may still come; else return. RebootInstances
    # is sent up to half the settle time after the request, and the guest may then take all of it.
    param ([string]$Method, [string]$Uptime, [string]$Reason)
    $patience_s = [int64]$script:request.settle_s
    if ($Method -eq 'api') { $patience_s = 2 * $patience_s }
    $age = (Get-Uptime) - [int64]$Uptime
    if ($age -ge $patience_s) { return }
    $script:wait_s = $patience_s - $age
    Stop-Keeper pending "$Reason $age s ago"
}

function Request-RestartAfterStep {
    if ($script:wants_restart) { Request-RestartFor "step:$($script:step.name)" }
    elseif ($script:step.restart -eq 'if_required') { Request-RestartOnEvidence }
}

function Request-RestartOnEvidence {
    if ($script:evidence -eq '') { Find-Evidence }
    if ($script:evidence -ne 'required') { return }
    if ((ConvertTo-Word $script:evidence_reason) -eq (Read-Record "$script:run\stale_reason")) {
        $script:stale = $script:evidence_reason
        Add-Summary ("a restart is still reported as required ($script:evidence_reason), although there has been " +
            'one for it')
        return
    }
    Request-RestartFor $script:evidence_reason
}

function Request-RestartFor {
    param ([string]$Reason)
    if ($script:request.restart -eq 'never') {
        Remove-Record "$script:run\restart_wanted"
        Add-Summary "a restart is required ($Reason), and this run may not restart"
        $script:evidence = 'required'
        $script:evidence_reason = $Reason
        return
    }
    Request-Restart $Reason
}

function Request-Restart {
    param ([string]$Reason)
    $proven = (Get-Line "$script:run\restarts").Count
    if ($proven -ge [int]$script:request.most_restarts) {
        Add-Summary "another restart is required ($Reason) after $proven, the most that this run may have"
        Stop-Keeper failed "another restart is required after $proven"
    }
    $words = $script:boot, $script:method, (Get-Uptime), (Get-Now), (ConvertTo-Word $Reason)
    Save-Record "$script:run\restart_requested" ($words -join ' ')
    Remove-Record "$script:run\restart_wanted"
    Add-Summary "restart requested: $Reason"
    Stop-Keeper restart $Reason
}

function Find-Evidence {
    # Sets evidence to required, not_required or unknown, and evidence_reason.
    $windows = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    $reasons = @()
    try {
        foreach ($name in 'RebootPending', 'RebootInProgress', 'PackagesPending') {
            if (Test-Path -LiteralPath "$windows\Component Based Servicing\$name") { $reasons += "cbs:$name" }
        }
        if (Test-Path -LiteralPath "$windows\WindowsUpdate\Auto Update\RebootRequired") {
            $reasons += 'windows_update:RebootRequired'
        }
        $manager = Get-Item -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager'
        # Without the names of the files: some programs leave others there in each boot, and no restart cures that.
        foreach ($name in 'PendingFileRenameOperations', 'PendingFileRenameOperations2') {
            $files = @($manager.GetValue($name, @()) | Where-Object { $_ })
            if ($files.Count -gt 0) { $reasons += "pending_rename:$name" }
        }
    }
    catch {
        $script:evidence = 'unknown'
        $script:evidence_reason = 'registry_unreadable'
        return
    }
    if ($reasons.Count -gt 0) {
        $script:evidence = 'required'
        $script:evidence_reason = $reasons -join ','
    }
    else {
        $script:evidence = 'not_required'
        $script:evidence_reason = 'cbs,windows_update,pending_rename'
    }
}
