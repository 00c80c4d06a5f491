# SPDX-License-Identifier: GPL-3.0-or-later
# cloudops.alibaba delivery for Windows: unpacks the step runner and starts it. It is sent without these comments.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The payload is a zip file in Base85, with Python's alphabet: Base64 would take 6 % more of the little room.
$alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~'
$payload = @'
@PAYLOAD@
'@

function Read-Base85 {
    param ([char[]]$Letters, [byte[]]$Bytes)
    $at = 0
    $count = 0
    [int64]$value = 0
    foreach ($letter in $Letters) {
        $value = $value * 85 + $alphabet.IndexOf($letter)
        $count++
        if ($count -lt 5) { continue }
        for ($shift = 24; $shift -ge 0; $shift = $shift - 8) {
            $Bytes[$at] = ($value -shr $shift) -band 255
            $at++
        }
        $count = 0
        $value = 0
    }
}

try {
    # The folder for the records, which nobody but SYSTEM and Administrators may read. Everybody may make folders in
    # ProgramData: one that is there already is ours only if it belongs to one of them, and nothing leads elsewhere.
    $base = "$env:ProgramData\cloudops.alibaba"
    if (-not (Test-Path -LiteralPath $base)) {
        $new = "$base.$([Guid]::NewGuid())"
        [void](New-Item -ItemType Directory -Path $new)
        $acl = New-Object Security.AccessControl.DirectorySecurity
        $acl.SetSecurityDescriptorSddlForm('O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)')
        Set-Acl -LiteralPath $new -AclObject $acl
        # Another delivery may have been quicker.
        try { [IO.Directory]::Move($new, $base) } catch { [IO.Directory]::Delete($new) }
    }
    $acl = Get-Acl -LiteralPath $base
    $owner = $acl.GetOwner([Security.Principal.SecurityIdentifier]).Value
    $link = ((Get-Item -LiteralPath $base -Force).Attributes -band [IO.FileAttributes]::ReparsePoint) -ne 0
    $trusted = @('S-1-5-18', 'S-1-5-32-544') -contains $owner
    if ($link -or -not $trusted -or -not $acl.AreAccessRulesProtected) {
        throw "$base was made by somebody else: look at it, and remove it"
    }

    $letters = $payload.ToCharArray()
    $bytes = New-Object 'byte[]' ($letters.Length / 5 * 4)
    Read-Base85 $letters $bytes
    $delivery = "$base\delivery.$([Guid]::NewGuid().ToString('N').Substring(0, 8))"
    [void](New-Item -ItemType Directory -Path $delivery)
    [IO.File]::WriteAllBytes("$delivery\zip", $bytes)
    Add-Type -AssemblyName System.IO.Compression.FileSystem
    [IO.Compression.ZipFile]::ExtractToDirectory("$delivery\zip", $delivery)
}
catch {
    [Console]::Out.Write("cloudops.alibaba: $($_.Exception.GetBaseException().Message -creplace '[^ -~]', '?')`n")
    exit 78
}

# From an agent of 32 bits, the PowerShell that sees the registry and the files as they are is this one.
$native = "$env:SystemRoot\Sysnative\WindowsPowerShell\v1.0\powershell.exe"
$words = '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', "$delivery\runner.ps1"
if (-not (Test-Path -LiteralPath $native)) { $native, $words = "$delivery\runner.ps1", @() }
& $native @words continue $base $delivery "$PSCommandPath"
exit $LASTEXITCODE
