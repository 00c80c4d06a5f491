# SPDX-License-Identifier: GPL-3.0-or-later
# The last part: now all functions are known.

try { Invoke-Verb $args }
catch {
    Write-Plain "cloudops.alibaba: $($_.Exception.GetBaseException().Message) $($_.ScriptStackTrace)"
    if ($args[0] -eq 'continue') { exit $EXIT_FAILED }
    # For a guard that is no answer.
    exit -1
}
