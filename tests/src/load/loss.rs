//! What the machine lost outside the data path: in full socket buffers and in full queues of its CPUs.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
};

use anyhow::{Context as _, Result};

use crate::Netns;

/// Counters of a namespace, from when they were opened.
#[derive(Debug)]
pub struct Losses {
    files: [File; 3],
    before: [u64; 3],
    netns: String,
}

/// What each file counts.
const WHAT: [&str; 3] = [
    "IPv4 datagrams that found a socket's buffer full",
    "IPv6 datagrams that found a socket's buffer full",
    "frames that found a CPU's queue full",
];

impl Losses {
    /// Opens the counters of a namespace.
    pub fn open(netns: &Netns) -> Result<Self> {
        // Of the thread: /proc/net is that of the process, whose namespace is another. Open, the files stay those
        // of the namespace.
        let open = |name: &str| File::open(format!("/proc/thread-self/net/{name}"));
        let files = netns.enter(|| [open("snmp"), open("snmp6"), open("softnet_stat")])?;
        let [snmp, snmp6, softnet] = files;
        let mut this =
            Self { files: [snmp?, snmp6?, softnet?], before: [0; 3], netns: netns.name().to_owned() };
        this.before = this.read()?;
        Ok(this)
    }

    /// What was lost since.
    pub fn since(&self) -> Result<Vec<String>> {
        let now = self.read()?;
        let moved = now.iter().zip(self.before).zip(WHAT).filter(|((now, before), _)| *now > before);
        Ok(moved.map(|((now, before), what)| format!("{}: {} {what}", self.netns, now - before)).collect())
    }

    /// How much was lost since, in all.
    pub fn count(&self) -> Result<u64> {
        Ok(self.read()?.iter().zip(self.before).map(|(now, before)| now.saturating_sub(before)).sum())
    }

    fn read(&self) -> Result<[u64; 3]> {
        let [snmp, snmp6, softnet] = &self.files;
        let v4 = udp_buffer_errors(&text(snmp)?).context("/proc/net/snmp has no RcvbufErrors")?;
        let v6 = udp6_buffer_errors(&text(snmp6)?).context("/proc/net/snmp6 has no Udp6RcvbufErrors")?;
        Ok([v4, v6, queue_drops(&text(softnet)?)])
    }
}

fn text(mut file: &File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Two lines that begin with `Udp:`: names, then values.
fn udp_buffer_errors(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.find(|(name, _)| *name == "RcvbufErrors")?.1.parse().ok()
}

fn udp6_buffer_errors(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Udp6RcvbufErrors"))?.trim().parse().ok()
}

/// A line for each CPU; its second number, in hexadecimal, counts the drops of `netif_rx` (`softnet_seq_show`).
fn queue_drops(text: &str) -> u64 {
    let drops = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    drops.filter_map(|drops| u64::from_str_radix(drops, 16).ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name() {
        let snmp = "Tcp: A\nTcp: 1\nUdp: InDatagrams NoPorts RcvbufErrors\nUdp: 7 8 9\nUdpLite: RcvbufErrors\nUdpLite: 3\n";
        assert_eq!(udp_buffer_errors(snmp), Some(9));
        assert_eq!(udp_buffer_errors("Udp: A\nUdp: 1\n"), None);
        assert_eq!(udp6_buffer_errors("Udp6InErrors\t4\nUdp6RcvbufErrors                \t12\n"), Some(12));
        assert_eq!(queue_drops("00000001 0000000a 0\n00000002 00000010 0\n"), 26);
    }
}
