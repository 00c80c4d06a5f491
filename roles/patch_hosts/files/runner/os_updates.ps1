# SPDX-License-Identifier: GPL-3.0-or-later
# The built-in step os_updates: Windows Update, through the Update Session API, from wherever the host's policy says
# (Microsoft's servers, or a WSUS). It works in rounds: updates make others come up, some only after a restart.
#
# Ends with 0 or STEP_UNCHANGED when there is nothing left to do, with EXIT_RESTART when it has to go on after a
# restart, and with 1 when something failed, is unknown, or is offered again although it has been installed.

$SEARCH = "IsInstalled=0 and IsHidden=0 and Type='Software' and BrowseOnly=0"
# The category Security Updates, which has the same id in every language.
$SECURITY = '0fa1201d-4330-4fa8-8ae9-b877473b6441'
# OperationResultCode, and InstallationImpact.
$SUCCEEDED = 2
$SUCCEEDED_WITH_ERRORS = 3
$EXCLUSIVE = 2
$MOST_ROUNDS = 10
# Right after a boot Windows may still be at the work of the last restart.
$BOOT_WORK_S = 1800
$BOOT_PATIENCE_S = 600

function Invoke-OsUpdate {
    param ([string]$Run, [string]$Step)
    Enter-Step $Run $Step
    $script:boot = Get-BootId
    # Whatever else a call might return.
    try { $code = @(Update-Host)[-1] }
    catch {
        $wrong = $_.Exception.GetBaseException()
        Write-Update ('Windows Update failed with 0x{0:X8}: {1}' -f $wrong.HResult, $wrong.Message)
        $code = $EXIT_FAILED
    }
    exit $code
}

function Write-Update {
    param ([string]$Text)
    Write-Plain "os_updates: $Text"
}

function Update-Host {
    # Round after round; the exit code.
    Wait-BootWork
    $session = New-Object -ComObject Microsoft.Update.Session
    $session.ClientApplicationID = 'cloudops.alibaba'
    $installer = $session.CreateUpdateInstaller()
    for ($round = 1; $round -le $MOST_ROUNDS; $round++) {
        if (-not (Wait-Installer $installer)) { return $EXIT_FAILED }
        if ($installer.RebootRequiredBeforeInstallation) { return Get-BlockedCode }
        $offered = Find-Update $session
        if ($null -eq $offered) { return $EXIT_FAILED }
        $chosen = @($offered | Where-Object { (Get-Standing $_) -eq 'new' })
        $waiting = @($offered | Where-Object { (Get-Standing $_) -eq 'waits' })
        if ($chosen.Count -eq 0 -and $waiting.Count -gt 0 -and (Test-MayRestart)) {
            # Somebody else perhaps has installed them before us.
            foreach ($one in $waiting) { Save-Update $one $true }
            return $EXIT_RESTART
        }
        if ($chosen.Count -eq 0) { return Get-LastCode @($offered | Where-Object { (Get-Standing $_) -eq 'again' }) }
        $code = Install-Round $session $installer $chosen
        if ($code -ne 0) { return $code }
    }
    Write-Update "there are still new updates after $MOST_ROUNDS rounds"
    return $EXIT_FAILED
}

function Get-LastCode {
    # Nothing is left to install.
    param ([object[]]$Again)
    if ($Again.Count -gt 0) {
        $names = @($Again | ForEach-Object { $_.name }) -join ', '
        Write-Update "$names is offered again although it was installed; the host's update history may tell why"
        return $EXIT_FAILED
    }
    if ((Get-Line "$script:run\packages").Count -gt 0) { return 0 }
    Write-Update 'nothing to do'
    return $STEP_UNCHANGED
}

function Get-BlockedCode {
    # Nothing can be installed before a restart. If one does not help, another does not either.
    $blocked = @{ id = 'installer'; name = 'RebootRequiredBeforeInstallation'; waits = $true }
    if ((Get-Standing $blocked) -eq 'again') {
        Write-Update 'nothing can be installed before a restart, although there has been one'
        return $EXIT_FAILED
    }
    if (-not (Test-MayRestart)) {
        Write-Update 'nothing can be installed before a restart, and it may not have one'
        return $EXIT_FAILED
    }
    Save-Update $blocked $true
    return $EXIT_RESTART
}

function Test-MayRestart {
    return $script:request.restart -ne 'never' -and $script:step.restart -ne 'never'
}

function Wait-BootWork {
    # The servicing of components goes on after a restart, in a process that ends with it.
    $until = [Math]::Min((Get-Uptime) + $BOOT_PATIENCE_S, $BOOT_WORK_S)
    while ((Get-Uptime) -lt $until -and @(Get-Process -Name TiWorker -ErrorAction SilentlyContinue).Count -gt 0) {
        Start-Sleep -Seconds $LOCK_PAUSE_S
    }
}

function Wait-Installer {
    # Whether nobody else installs updates, waited for with a limit.
    param ([object]$Installer)
    $until = (Get-Uptime) + $LOCK_PATIENCE_S
    while ($Installer.IsBusy) {
        if ((Get-Uptime) -ge $until) {
            Write-Update "somebody else has installed updates for $LOCK_PATIENCE_S s"
            return $false
        }
        Start-Sleep -Seconds $LOCK_PAUSE_S
    }
    return $true
}

function Find-Update {
    # The updates that the step is for, as hash tables; nothing when they cannot be known.
    param ([object]$Session)
    $result = $Session.CreateUpdateSearcher().Search($SEARCH)
    if ($result.ResultCode -ne $SUCCEEDED) {
        Write-Update "the search ended with code $($result.ResultCode), so it is unknown whether there are updates"
        return $null
    }
    $found = @()
    for ($index = 0; $index -lt $result.Updates.Count; $index++) {
        $update = $result.Updates.Item($index)
        $one = Get-Description $update
        if (-not (Test-Wanted $update $one)) { continue }
        if ($one.asks) {
            Write-Update "$($one.name) asks questions when it is installed, and is left out: $($one.title)"
            continue
        }
        $found += $one
    }
    return , $found
}

function Get-Description {
    # What has to be known of an update.
    param ([object]$Update)
    $names = @($Update.KBArticleIDs | ForEach-Object { "KB$_" })
    $name = $Update.Title
    if ($names.Count -gt 0) { $name = $names[0] }
    $name = $name -creplace '[^A-Za-z0-9._+~-]', '_'
    if ($name.Length -gt 60) { $name = $name.Substring(0, 60) }
    $behavior = $Update.InstallationBehavior
    return @{
        update = $Update
        id = '{0}.{1}' -f $Update.Identity.UpdateID, $Update.Identity.RevisionNumber
        name = $name
        title = $Update.Title
        words = $names + $Update.Title
        asks = $null -ne $behavior -and $behavior.CanRequestUserInput
        exclusive = $null -ne $behavior -and $behavior.Impact -eq $EXCLUSIVE
        waits = [bool]$Update.RebootRequired
    }
}

function Test-Wanted {
    # Whether the step is for an update: by its kind, and by its KB number or its title.
    param ([object]$Update, [hashtable]$One)
    if ($script:step.updates -eq 'security') {
        $categories = @($Update.Categories | ForEach-Object { $_.CategoryID })
        if ($categories -notcontains $SECURITY) { return $false }
    }
    if ($script:step.include -and -not (Test-Named $One $script:step.include)) { return $false }
    return -not ($script:step.exclude -and (Test-Named $One $script:step.exclude))
}

function Test-Named {
    param ([hashtable]$One, [string]$Patterns)
    foreach ($pattern in ($Patterns -split ' ')) {
        # Of the characters that -like minds, the controller lets only * through.
        if (@($One.words | Where-Object { $_ -like $pattern }).Count -gt 0) { return $true }
    }
    return $false
}

function Get-Standing {
    # What this run knows of an update that is offered: it is new; it is installed and waits for a restart; or it is
    # offered again although it was installed, and there has been a restart if it asked for one. Installed once more,
    # it would be offered again, for ever.
    param ([hashtable]$One)
    $standing = 'new'
    if ($One.waits) { $standing = 'waits' }
    foreach ($line in (Get-Line "$script:run\updates")) {
        $id, $boot, $restart, $name = $line -split ' '
        if ($id -ne $One.id) { continue }
        if ($restart -ne 'restart' -or $boot -ne $script:boot) { return 'again' }
        $standing = 'waits'
    }
    return $standing
}

function Install-Round {
    # Download and install; 0 when there may be more to do, else the exit code.
    param ([object]$Session, [object]$Installer, [object[]]$Chosen)
    # Some want to be installed alone. The others come with the next round.
    $alone = @($Chosen | Where-Object { $_.exclusive })
    if ($alone.Count -gt 0) { $Chosen = @($alone[0]) }
    $wanted = New-Object -ComObject Microsoft.Update.UpdateColl
    foreach ($one in $Chosen) {
        Write-Update "installs $($one.name): $($one.title)"
        # The terms were accepted with the decision to update this host.
        if (-not $one.update.EulaAccepted) { [void]$one.update.AcceptEula() }
        [void]$wanted.Add($one.update)
    }
    $downloader = $Session.CreateUpdateDownloader()
    $downloader.Updates = $wanted
    $downloaded = $downloader.Download()
    $ready = New-Object -ComObject Microsoft.Update.UpdateColl
    $going = @($Chosen | Where-Object { $_.update.IsDownloaded })
    foreach ($one in $going) { [void]$ready.Add($one.update) }
    if ($going.Count -lt $Chosen.Count) {
        Write-Update "could not download all of them: code $($downloaded.ResultCode)"
        if ($going.Count -eq 0) { return $EXIT_FAILED }
    }
    $Installer.Updates = $ready
    $outcome = $Installer.Install()
    $saved = 0
    $failed = $going.Count -lt $Chosen.Count
    $restart = [bool]$outcome.RebootRequired
    for ($index = 0; $index -lt $going.Count; $index++) {
        $result = $outcome.GetUpdateResult($index)
        if ($result.ResultCode -eq $SUCCEEDED -or $result.ResultCode -eq $SUCCEEDED_WITH_ERRORS) {
            Save-Update $going[$index] ([bool]$result.RebootRequired)
            Add-Line "$script:run\packages" "$($going[$index].name) missing installed"
            $saved++
        }
        else {
            $failed = $true
            $said = '{0} failed with code {1}, 0x{2:X8}' -f $going[$index].name, $result.ResultCode, $result.HResult
            Write-Update $said
        }
    }
    # What failed may succeed after the restart. If nothing succeeds then, that is the end of it.
    if ($restart -and $saved -gt 0 -and (Test-MayRestart)) { return $EXIT_RESTART }
    if ($failed) { return $EXIT_FAILED }
    return 0
}

function Save-Update {
    # An update is installed: for the rounds that follow.
    param ([hashtable]$One, [bool]$Restart)
    $needs = 'none'
    if ($Restart) { $needs = 'restart' }
    Add-Line "$script:run\updates" "$($One.id) $script:boot $needs $($One.name)"
}

function Add-Line {
    param ([string]$Path, [string]$Line)
    $lines = Get-Line $Path
    if ($lines -contains $Line) { return }
    $lines += $Line
    if (-not (Write-Record $Path ($lines -join "`n"))) { throw "cannot write $Path" }
}
