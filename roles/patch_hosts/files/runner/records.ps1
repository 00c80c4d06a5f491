# SPDX-License-Identifier: GPL-3.0-or-later
# What is read and written: the request, records, what people read, and the words of the trailer.

function Read-Pair {
    # Lines key=value of a file, as a hash table. The controller has checked the values.
    param ([string]$Path)
    $pairs = @{}
    foreach ($line in [IO.File]::ReadAllLines($Path)) {
        $at = $line.IndexOf('=')
        if ($at -gt 0) { $pairs[$line.Substring(0, $at)] = $line.Substring($at + 1) }
    }
    return $pairs
}

function Set-Run {
    # BASE\runs\RUN_ID
    param ([string]$Path)
    $script:run = $Path
    $script:base = Split-Path -Path (Split-Path -Path $Path)
}

function Read-Request {
    param ([string]$Folder)
    $script:delivery = $Folder
    $script:request = Read-Pair "$Folder\request"
    foreach ($key in 'ends_at', 'event', 'method', 'mode', 'most_restarts', 'not_after', 'restart', 'run_id',
        'sent_at', 'settle_s', 'steps', 'work') {
        if (-not $script:request.ContainsKey($key)) { $script:request[$key] = '' }
    }
}

function Read-Step {
    # The step in a folder of the delivery, which becomes the current one.
    param ([string]$Folder)
    $step = Read-Pair "$Folder\step"
    foreach ($key in 'attempts', 'builtin', 'exclude', 'include', 'name', 'rerun', 'restart', 'timeout_s', 'updates') {
        if (-not $step.ContainsKey($key)) { $step[$key] = '' }
    }
    # Without its steps the keeper must not go on as if there were none.
    if (-not $step.name) { throw "$Folder holds no step" }
    $step.folder = $Folder
    $script:step = $step
    $script:records = "$script:run\steps\$($step.name)"
}

function Get-StepFolder {
    param ([int]$Number)
    return '{0}\steps\{1:d2}' -f $script:delivery, $Number
}

function Get-StepContent {
    # A checksum of what the step does. Its guard may be mended without making it another step.
    $what = $script:step.builtin + $script:step.updates + $script:step.include + $script:step.exclude + "`n"
    $bytes = New-Object 'Collections.Generic.List[byte]'
    $bytes.AddRange([Text.Encoding]::UTF8.GetBytes($what))
    $file = "$($script:step.folder)\script.ps1"
    if ([IO.File]::Exists($file)) { $bytes.AddRange([IO.File]::ReadAllBytes($file)) }
    return '{0}-{1}' -f (Get-Cksum $bytes.ToArray()), $bytes.Count
}

function Save-Record {
    # A record that what follows depends on: without it the keeper stops.
    param ([string]$Path, [string]$Text)
    if (Write-Record $Path $Text) { return }
    $script:blame = 'instance'
    Stop-Keeper failed "cannot write $Path"
}

function Write-Record {
    # Write a record whole or not at all, and through to the disk; whether that succeeded. Programs that look into every
    # new file, for viruses say, may have it open for a moment.
    param ([string]$Path, [string]$Text)
    $bytes = (New-Object Text.UTF8Encoding $false).GetBytes("$Text`n")
    for ($try = 1; $try -le $WRITE_TRIES; $try++) {
        try {
            $file = [IO.File]::Open("$Path.new", [IO.FileMode]::Create, [IO.FileAccess]::Write, [IO.FileShare]::None)
            try {
                $file.Write($bytes, 0, $bytes.Length)
                $file.Flush($true)
            }
            finally { $file.Dispose() }
            [CloudOpsAlibaba.Native]::Replace("$Path.new", $Path)
            return $true
        }
        catch { Start-Sleep -Milliseconds $POLL_MS }
    }
    return $false
}

function Read-Record {
    # The text of a record without the end of its last line; empty when there is none. Whoever reads one does not keep
    # another from replacing it.
    param ([string]$Path)
    if (-not [IO.File]::Exists($Path)) { return '' }
    $share = [IO.FileShare]'ReadWrite, Delete'
    $file = [IO.File]::Open($Path, [IO.FileMode]::Open, [IO.FileAccess]::Read, $share)
    try { return (New-Object IO.StreamReader $file).ReadToEnd().TrimEnd("`r", "`n") }
    finally { $file.Dispose() }
}

function Read-Word {
    # The words of a record, at least so many.
    param ([string]$Path, [int]$Least)
    $words = @((Read-Record $Path) -split ' ')
    while ($words.Count -lt $Least) { $words += '' }
    return , $words
}

function Test-Record {
    param ([string]$Path)
    return (Read-Record $Path) -ne ''
}

function Remove-Record {
    param ([string]$Path)
    if ([IO.File]::Exists($Path)) { [IO.File]::Delete($Path) }
}

function Get-Line {
    # The lines of a record, none for an empty one.
    param ([string]$Path)
    $text = Read-Record $Path
    if ($text -eq '') { return , @() }
    return , @($text -split "`r?`n")
}

function Get-BootId {
    # LastBootUpTime as it was seen first in this boot. Windows counts it back from the clock, so it moves when the
    # clock is set, and a boot that seems to be another one would pass for the proof of a restart. A volatile key of
    # the registry is gone after a restart and only then.
    $hive = [Microsoft.Win32.RegistryHive]::LocalMachine
    $root = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hive, [Microsoft.Win32.RegistryView]::Registry64)
    $lock = Wait-Lock "$script:base\boot.lock" $BOOT_LOCK_S
    if ($null -eq $lock) { return '' }
    try {
        $key = $root.CreateSubKey($BOOT_KEY, [Microsoft.Win32.RegistryKeyPermissionCheck]::ReadWriteSubTree,
            [Microsoft.Win32.RegistryOptions]::Volatile)
        $boot = [string]$key.GetValue('BootId', '')
        $uptime = Get-Uptime
        # Should the key outlive its boot all the same: less uptime than there has been is another boot.
        if ($boot -eq '' -or $uptime -lt [int64]$key.GetValue('Uptime', '0')) {
            $booted = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime()
            $boot = $booted.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", $INVARIANT)
            $key.SetValue('BootId', $boot)
        }
        $key.SetValue('Uptime', $uptime.ToString($INVARIANT))
        $key.Dispose()
        return $boot
    }
    finally { $lock.Dispose() }
}

function Get-Now {
    return [DateTime]::UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", $INVARIANT)
}

function Get-Epoch {
    $zero = New-Object DateTime 1970, 1, 1, 0, 0, 0, ([DateTimeKind]::Utc)
    return [int64][Math]::Floor(([DateTime]::UtcNow - $zero).TotalSeconds)
}

function Add-Text {
    # To the end of a file that others may read; that nobody can read it later is no reason to stop.
    param ([string]$Path, [byte[]]$Bytes)
    try {
        $file = [IO.File]::Open($Path, [IO.FileMode]::Append, [IO.FileAccess]::Write, [IO.FileShare]::ReadWrite)
        try { $file.Write($Bytes, 0, $Bytes.Length) }
        finally { $file.Dispose() }
    }
    catch { return }
}

function Add-Summary {
    param ([string]$Line)
    Add-Text "$script:run\summary" ([Text.Encoding]::ASCII.GetBytes((ConvertTo-Plain $Line) + "`n"))
}

function Add-Log {
    param ([string]$Line)
    $text = "--- $(Get-Now) $(ConvertTo-Plain $Line)`n"
    Add-Text "$script:run\log" ([Text.Encoding]::ASCII.GetBytes($text))
}

function ConvertTo-Plain {
    # The agent takes output for one in the system's code page, and a checksum survives no change of encoding: what is
    # printed is ASCII.
    param ([string]$Text)
    return $Text -creplace '[^\x09\x20-\x7e]', '?'
}

function Write-Plain {
    param ([string]$Line)
    [Console]::Out.Write((ConvertTo-Plain $Line) + "`n")
}

function Get-TrailerStart {
    param ([string]$State, [string]$Method)
    return 'cloudops.alibaba/1 run={0} state={1} method={2} boot={3} at={4}' -f
        $script:request.run_id, $State, $Method, $script:boot, (Get-Now)
}

function ConvertTo-Word {
    # A text as one word of the trailer; its spaces become %20, as in addresses.
    param ([string]$Text)
    $word = $Text -creplace '[^A-Za-z0-9._+~:,/@() -]', '_'
    if ($word.Length -gt $WORD_BYTES) { $word = $word.Substring(0, $WORD_BYTES) }
    return $word.Replace(' ', '%20')
}

function ConvertTo-Pack {
    # Lines as one word: fields joined by "|", lines by ";", as many whole lines as fit into so many bytes.
    param ([string[]]$Lines, [int]$Room)
    $all = ''
    foreach ($line in $Lines) {
        $entry = ($line -creplace '[^A-Za-z0-9._+~:,/@()% -]', '_').Replace(' ', '|')
        if ($all.Length + $entry.Length -ge $Room) { continue }
        if ($all -ne '') { $all += ';' }
        $all += $entry
    }
    return $all
}

function Add-Checksum {
    # A trailer with its checksum.
    param ([string]$Line)
    return "$Line cksum=$(Get-Cksum ([Text.Encoding]::ASCII.GetBytes($Line)))"
}

function Get-Cksum {
    # The checksum of POSIX cksum: a CRC over the bytes and their number, complemented. Numbers are signed and of 64
    # bits here, of which the lower 32 count.
    param ([byte[]]$Bytes)
    $table = New-Object 'int64[]' 256
    for ($index = 0; $index -lt 256; $index++) {
        [int64]$value = [int64]$index * 16777216
        for ($bit = 0; $bit -lt 8; $bit++) {
            $high = $value -band 2147483648
            $value = ($value -shl 1) -band 4294967295
            if ($high -ne 0) { $value = $value -bxor 79764919 }
        }
        $table[$index] = $value
    }
    [int64]$crc = 0
    foreach ($byte in $Bytes) {
        $crc = (($crc -shl 8) -band 4294967295) -bxor $table[(($crc -shr 24) -bxor $byte) -band 255]
    }
    [int64]$length = $Bytes.Length
    while ($length -gt 0) {
        $crc = (($crc -shl 8) -band 4294967295) -bxor $table[(($crc -shr 24) -bxor $length) -band 255]
        $length = $length -shr 8
    }
    return $crc -bxor 4294967295
}
