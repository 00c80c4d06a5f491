# SPDX-License-Identifier: GPL-3.0-or-later
# What Windows has and PowerShell 5.1 has no command for: jobs, the uptime, and renaming with a sync.

function Import-Native {
    # Each process of the runner compiles this for itself, so that no program of ours is left on the host.
    if ('CloudOpsAlibaba.Native' -as [type]) { return }
    # A folder that it names and that is not there would make the compiler complain.
    $env:LIB = ''
    Add-Type -IgnoreWarnings -TypeDefinition @'
using System;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CloudOpsAlibaba
{
    public static class Native
    {
        const int ReplaceExisting = 1;
        const int WriteThrough = 8;
        const uint BreakawayOk = 0x800;
        const uint KillOnClose = 0x2000;

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern IntPtr CreateJobObjectW(IntPtr attributes, string name);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool SetInformationJobObject(IntPtr job, int kind, byte[] limits, int size);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool AssignProcessToJobObject(IntPtr job, IntPtr process);

        [DllImport("kernel32.dll", SetLastError = true)]
        static extern bool TerminateJobObject(IntPtr job, uint code);

        [DllImport("kernel32.dll")]
        static extern ulong GetTickCount64();

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        static extern bool MoveFileExW(string from, string to, int flags);

        public static long UptimeSeconds()
        {
            return (long)(GetTickCount64() / 1000);
        }

        public static void Replace(string from, string to)
        {
            Check(MoveFileExW(from, to, ReplaceExisting | WriteThrough));
        }

        // Put this process, and with it all that it will start, into a job that ends when this process does.
        public static IntPtr JoinJob()
        {
            IntPtr job = CreateJobObjectW(IntPtr.Zero, null);
            Check(job != IntPtr.Zero);
            Limit(job, KillOnClose | BreakawayOk);
            using (Process self = Process.GetCurrentProcess())
            {
                Check(AssignProcessToJobObject(job, self.Handle));
            }
            return job;
        }

        // What is left in the job may outlive this process.
        public static void ReleaseJob(IntPtr job)
        {
            Limit(job, BreakawayOk);
        }

        // End all that is in the job, this process too, with an exit code.
        public static void EndJob(IntPtr job, int code)
        {
            Check(TerminateJobObject(job, unchecked((uint)code)));
        }

        // JOBOBJECT_EXTENDED_LIMIT_INFORMATION is of kind 9 and has its flags at byte 16.
        static void Limit(IntPtr job, uint flags)
        {
            byte[] limits = new byte[IntPtr.Size == 8 ? 144 : 112];
            BitConverter.GetBytes(flags).CopyTo(limits, 16);
            Check(SetInformationJobObject(job, 9, limits, limits.Length));
        }

        static void Check(bool done)
        {
            if (!done)
            {
                throw new Win32Exception(Marshal.GetLastWin32Error());
            }
        }
    }
}
'@
}

function Get-Uptime {
    # In seconds. The clock of a host may be set while the steps run; this is not.
    return [CloudOpsAlibaba.Native]::UptimeSeconds()
}
