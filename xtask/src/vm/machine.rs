//! One run of a machine: what it prints, and whether it came to its end.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::kernel::Kernel;
use crate::project;

/// The MAC addresses of the network cards, which one cable joins.
pub(super) const CARDS: [&str; 2] = ["52:54:00:12:00:01", "52:54:00:12:00:02"];
/// No test takes as long without a word.
const SILENCE: Duration = Duration::from_mins(4);
/// The last words of `init`.
const END: &str = "vm: all ran";
/// What the kernel writes of a fault of its own.
const FAULTS: [&str; 6] =
    ["Kernel panic", "Oops", "BUG:", "WARNING:", "general protection fault", "rcu_sched"];

/// Boots a kernel with an image, and hands each line that the tests print to `line`; what went wrong, if anything did.
pub(super) fn run(kernel: &Kernel, image: &Path, mut line: impl FnMut(&str)) -> Result<Vec<String>> {
    let log = project::target_dir().join("vm").join(format!("{}.log", kernel.series));
    let mut qemu = start(kernel, image, &log)?;
    let output = read(qemu.stdout.take().context("qemu has no stdout")?);
    let (mut rest, mut ended, mut wrong) = (String::new(), false, Vec::new());
    loop {
        match output.recv_timeout(SILENCE) {
            Ok(bytes) => {
                rest.push_str(&String::from_utf8_lossy(&bytes));
                while let Some((whole, after)) = rest.split_once('\n') {
                    let text = whole.trim_end().to_owned();
                    rest = after.to_owned();
                    ended |= text == END;
                    line(&text);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                wrong.push(format!("hangs: nothing was printed for {} s after {rest:?}", SILENCE.as_secs()));
                break;
            }
        }
    }
    // It ended by itself, or is to.
    let _ = qemu.kill();
    qemu.wait()?;
    if !ended && wrong.is_empty() {
        wrong.push(format!("the machine ended before its tests did, after {rest:?}"));
    }
    let said = fs::read(&log).unwrap_or_default();
    wrong.extend(faults(&String::from_utf8_lossy(&said)).into_iter().map(|fault| {
        let log = log.display();
        format!("the kernel says: {fault}; all of it is in {log}")
    }));
    Ok(wrong)
}

fn start(kernel: &Kernel, image: &Path, log: &Path) -> Result<Child> {
    let mut qemu = Command::new("qemu-system-x86_64");
    // One CPU: the kernel changes its own code while it runs (static keys), and under TCG another CPU may meet the
    // breakpoint that it sets meanwhile without the handler knowing of it: a panic, "Oops: int3".
    qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "2048"]);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    // One hub has the ends of all cards: what one sends, the other receives. No backend of the host is needed for it,
    // and none does a card's work, so that the cards have no offloads which XDP would have to turn off.
    for (place, mac) in CARDS.iter().enumerate() {
        qemu.args(["-netdev", &format!("hubport,id=card{place},hubid=0")]);
        qemu.args(["-device", &format!("virtio-net-pci,netdev=card{place},mac={mac},romfile=")]);
    }
    qemu.args(["-append", "console=ttyS0 panic=-1"]);
    qemu.arg("-kernel").arg(kernel.vmlinuz()).arg("-initrd").arg(image);
    qemu.arg("-serial").arg(format!("file:{}", log.display())).args(["-serial", "stdio"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    qemu.spawn().context("cannot start qemu-system-x86_64")
}

/// Reads on a thread, so that silence is noticed; by pieces, so that half a line is known too.
fn read(mut stdout: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut bytes) {
            if sender.send(bytes[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The first lines of faults in a kernel's log.
fn faults(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| FAULTS.iter().any(|fault| line.contains(fault)));
    lines.take(3).map(str::trim_end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_kernel_are_found_in_its_log() {
        let log =
            "[ 1.0] br0: port 3(h3) entered disabled state\r\n[ 2.0] Oops: int3: 0000 [#1] PREEMPT SMP\r\n";
        assert_eq!(faults(log), ["[ 2.0] Oops: int3: 0000 [#1] PREEMPT SMP"]);
        assert!(faults("[ 3.0] reboot: Power down").is_empty());
    }
}
