#!powershell

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic

$spec = @{
    options = @{
        state = @{ type = 'str'; choices = 'started', 'stopped', 'restarted' }
        enabled = @{ type = 'bool' }
        force = @{ type = 'bool'; default = $false }
        timeout = @{ type = 'int'; default = 120 }
    }
    supports_check_mode = $true
}

$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)

$serviceName = 'AliyunService'
$agentProgram = 'aliyun_assist_service.exe'

# Of a command that has ended the agent still has to report the end: up to four calls of at most five seconds each, and
# two seconds between them.
$reportSeconds = 30
# How long a command that succeeded has for an effect that nothing announces.
$effectSeconds = 5
# A service that ends as soon as it has started was started, for a moment.
$steadySeconds = 1

$states = @{
    'Running' = 'started'
    'Stopped' = 'stopped'
    'Start Pending' = 'starting'
    'Continue Pending' = 'starting'
    'Stop Pending' = 'stopping'
}

Function Get-AgentService {
    <#
    .SYNOPSIS
    The service as Windows has it now, or nothing if the agent is not installed.
    #>
    $found = Get-CimInstance -ClassName Win32_Service -Filter "Name = '$serviceName'"
    if ($found) {
        $state = $states[[string]$found.State]
        @{
            # A service that is paused, or about to be, is on its way out for all that concerns us.
            State = if ($state) { $state } else { 'stopping' }
            Status = [string]$found.State
            Enabled = $found.StartMode -eq 'Auto'
            ProcessId = [uint32]$found.ProcessId
            Path = [string]$found.PathName
        }
    }
}

Function Get-AgentVersion {
    <#
    .SYNOPSIS
    What the service's program says about its version; nothing if it is not the agent's program or says nothing of use.
    #>
    param ([string]$Path)

    $program = if ($Path -match '^\s*"([^"]+)"') { $Matches[1] } else { ($Path -replace '(?i)(\.exe)\s.*$', '$1').Trim() }
    # Nothing is run only to see whether it might be the agent.
    if ($program -and (Split-Path -Path $program -Leaf) -eq $agentProgram -and (Test-Path -LiteralPath $program)) {
        $said = try { & $program --version 2>$null } catch { $null }
        @($said | Where-Object { $_ -match '^\s*\d+(\.\d+){2,}\s*$' } | ForEach-Object { $_.Trim() }) | Select-Object -First 1
    }
}

Function Get-CommandProcess {
    <#
    .SYNOPSIS
    The process that the agent has started and that we come from; nothing if we come from no agent.
    #>
    param ([uint32]$AgentProcessId)

    $child = Get-CimInstance -ClassName Win32_Process -Filter "ProcessId = $PID"
    while ($child) {
        $parent = Get-CimInstance -ClassName Win32_Process -Filter "ProcessId = $($child.ParentProcessId)"
        # The id of a parent that has ended may be another's by now.
        if (-not $parent -or $parent.ProcessId -eq $child.ProcessId -or $parent.CreationDate -gt $child.CreationDate) {
            return
        }
        $isService = $AgentProcessId -ne 0 -and $parent.ProcessId -eq $AgentProcessId
        if ($isService -or $parent.Name -eq $agentProgram) {
            return $child.ProcessId
        }
        $child = $parent
    }
}

Function Test-Reached {
    <#
    .SYNOPSIS
    Whether what was done has had its effect. A restart makes another process.
    #>
    param ([string]$Verb, [hashtable]$Before, [hashtable]$Now)

    if ($Verb -eq 'stop') {
        return $Now.State -eq 'stopped'
    }
    $same = $Verb -eq 'restart' -and $Now.ProcessId -ne 0 -and $Now.ProcessId -eq $Before.ProcessId
    $Now.State -eq 'started' -and -not $same
}

Function Set-ResultFrom {
    <#
    .SYNOPSIS
    Put what is known of the service into the result.
    #>
    param ([hashtable]$Service)

    $module.Result.state = if ($Service) { $Service.State } else { 'absent' }
    $module.Result.status = if ($Service) { $Service.Status } else { $null }
    $module.Result.enabled = if ($Service) { $Service.Enabled } else { $null }
}

Function Get-AgentServiceAgain {
    <#
    .SYNOPSIS
    The service after something was done with it.
    #>
    $now = Get-AgentService
    Set-ResultFrom -Service $now
    if (-not $now) {
        $module.FailJson("$serviceName was there and is gone.")
    }
    $now
}

Function Invoke-Verb {
    <#
    .SYNOPSIS
    Start, stop or restart the service, and return what went wrong in words; nothing if nothing did.
    #>
    param ([string]$Verb)

    $limit = [TimeSpan]::FromSeconds($module.Params.timeout)
    try {
        $controller = Get-Service -Name $serviceName
        if ($Verb -in 'stop', 'restart') {
            $controller.Stop()
            $controller.WaitForStatus('Stopped', $limit)
        }
        if ($Verb -in 'start', 'restart') {
            $controller.Start()
            $controller.WaitForStatus('Running', $limit)
        }
    }
    catch {
        $_.Exception.GetBaseException().Message
    }
}

Function Start-DetachedRestart {
    <#
    .SYNOPSIS
    Restart the service some time after a process has ended, whatever becomes of us.
    #>
    param ([uint32]$ProcessId)

    $script = @(
        "Wait-Process -Id $ProcessId -ErrorAction SilentlyContinue"
        "Start-Sleep -Seconds $reportSeconds"
        "Restart-Service -Name $serviceName -Force"
    ) -join '; '
    $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($script))
    # A process of the WMI service's is in no job that ends with the command.
    $started = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments @{
        CommandLine = "powershell.exe -NoProfile -NonInteractive -EncodedCommand $encoded"
    }
    if ($started.ReturnValue -ne 0) {
        $module.FailJson("The restart could not be detached: Win32_Process.Create returned $($started.ReturnValue).")
    }
}

Function Wait-Effect {
    <#
    .SYNOPSIS
    Wait until a verb has had its effect and has kept it, and fail if it does not come to that.
    #>
    param ([string]$Verb, [hashtable]$Before, [string]$Wrong)

    $clock = [Diagnostics.Stopwatch]::StartNew()
    $patience = if ($Wrong) { 0 } else { $effectSeconds }
    $said = if ($Wrong) { " It said: $Wrong" } else { '' }
    $now = Get-AgentServiceAgain
    while (-not (Test-Reached -Verb $Verb -Before $Before -Now $now)) {
        $between = $now.State -in 'starting', 'stopping'
        if ($clock.Elapsed.TotalSeconds -gt $module.Params.timeout -or
            (-not $between -and $clock.Elapsed.TotalSeconds -ge $patience)) {
            $words = if ($Verb -eq 'restart' -and $now.State -eq 'started') { 'still the same process' } else { $now.Status }
            $module.FailJson("After $Verb $serviceName is $($now.State) ($words).$said")
        }
        Start-Sleep -Milliseconds 500
        $now = Get-AgentServiceAgain
    }
    if ($Verb -ne 'stop') {
        Start-Sleep -Seconds $steadySeconds
        $later = Get-AgentServiceAgain
        if ($later.State -ne 'started' -or $later.ProcessId -ne $now.ProcessId) {
            $module.FailJson("After $Verb $serviceName is $($later.State): it has ended as soon as it had started.$said")
        }
    }
}

$state = $module.Params.state
$enabled = $module.Params.enabled

$service = Get-AgentService
$command = if ($service) { Get-CommandProcess -AgentProcessId $service.ProcessId } else { $null }

$module.Result.init_system = 'windows'
$module.Result.service = if ($service) { $serviceName } else { $null }
$module.Result.agent_version = if ($service) { Get-AgentVersion -Path $service.Path } else { $null }
$module.Result.in_command = $null -ne $command
$module.Result.detached = $false
Set-ResultFrom -Service $service

if ($null -eq $state -and $null -eq $enabled) {
    $module.ExitJson()
}
if (-not $service) {
    $module.FailJson(
        "The Cloud Assistant Agent is not installed on this host: there is no service $serviceName. " +
        'cloudops.alibaba.ecs_cloud_assistant installs it.'
    )
}

$verb = if ($state -and $state -ne $service.State) {
    @{ started = 'start'; stopped = 'stop'; restarted = 'restart' }[$state]
}
if ($verb -eq 'restart' -and $service.State -eq 'stopped') {
    $verb = 'start'
}
if ($verb -eq 'stop' -and $command -and -not $module.Params.force) {
    $module.FailJson(
        'Refused: this task runs in a command of Cloud Assistant, and an agent that is stopped reports no result and ' +
        'takes no further command. Stop it over another connection, or set force if the result may be lost.'
    )
}

$changeEnabled = $null -ne $enabled -and $enabled -ne $service.Enabled
$after = @{
    state = @{ start = 'started'; stop = 'stopped'; restart = 'started' }[[string]$verb]
    enabled = if ($changeEnabled) { $enabled } else { $service.Enabled }
}
if (-not $after.state) {
    $after.state = $service.State
}
$module.Result.changed = [bool]($changeEnabled -or $verb)
$module.Diff.before = @{ state = $service.State; enabled = $service.Enabled }
$module.Diff.after = @{ state = if ($verb -eq 'restart') { 'restarted' } else { $after.state }; enabled = $after.enabled }

$detached = $verb -eq 'restart' -and $command
if ($detached) {
    $module.Result.detached = $true
    $module.Result.msg = 'The agent is restarted once the command that this task runs in has ended and is reported.'
}

if ($module.CheckMode) {
    $module.Result.state = $after.state
    $module.Result.enabled = $after.enabled
    $module.ExitJson()
}

if ($changeEnabled) {
    # What does not start by itself can still be started.
    Set-Service -Name $serviceName -StartupType $(if ($enabled) { 'Automatic' } else { 'Manual' })
    $now = Get-AgentServiceAgain
    if ($now.Enabled -ne $enabled) {
        $not = if ($enabled) { 'not ' } else { '' }
        $module.FailJson("Set-Service reported no error, and $serviceName does ${not}start with the host.")
    }
}
if ($detached) {
    Start-DetachedRestart -ProcessId $command
}
elseif ($verb) {
    $wrong = Invoke-Verb -Verb $verb
    Wait-Effect -Verb $verb -Before $service -Wrong $wrong
}

$module.ExitJson()
