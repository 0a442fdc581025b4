//! Offloads of a device, which only `ethtool` can turn off: by the `ioctl` of a socket of the device's namespace.

use std::{ffi::c_void, io, os::fd::AsFd};

use rustix::ioctl::{Updater, ioctl};

/// `SIOCETHTOOL`.
const SIOCETHTOOL: u32 = 0x8946;
/// `ETHTOOL_GSSET_INFO`: how many strings a set has.
const GET_SET_INFO: u32 = 0x37;
/// `ETHTOOL_GSTRINGS`: the strings of a set.
const GET_STRINGS: u32 = 0x1b;
/// `ETHTOOL_SFEATURES`: turns features on and off.
const SET_FEATURES: u32 = 0x3b;
/// `ETH_SS_FEATURES`: the names of features. Their order is each kernel's own.
const FEATURES: u32 = 4;
/// `ETH_GSTRING_LEN`.
const NAME: usize = 32;
/// `IFNAMSIZ`.
const DEVICE_NAME: usize = 16;

/// `struct ifreq`, as far as this request reads it.
#[repr(C)]
struct Request {
    name: [u8; DEVICE_NAME],
    data: *mut c_void,
    pad: [u8; 16],
}

/// Turns features of a device off, by the names that `ethtool -k` shows; those that this kernel does not know are off.
pub(super) fn turn_off(socket: impl AsFd, device: &str, names: &[&str]) -> io::Result<()> {
    let known = features(&socket, device)?;
    let mut request = vec![SET_FEATURES, known.len().div_ceil(32) as u32];
    for block in known.chunks(32) {
        let chosen = block.iter().enumerate().filter(|(_, name)| names.contains(&name.as_str()));
        let valid = chosen.fold(0_u32, |bits, (bit, _)| bits | 1 << bit);
        // Which are meant, and which of them are to be on.
        request.extend([valid, 0]);
    }
    ask(&socket, device, &mut request)
}

/// The names of the kernel's features, in its order.
fn features(socket: &impl AsFd, device: &str) -> io::Result<Vec<String>> {
    // The command, a reserved word, a mask of sets, and the length of the one set.
    let mut request = vec![GET_SET_INFO, 0, 1 << FEATURES, 0, 0];
    if cfg!(target_endian = "big") {
        request.swap(2, 3);
    }
    ask(socket, device, &mut request)?;
    let count = request[4] as usize;
    let mut request = vec![GET_STRINGS, FEATURES, count as u32];
    request.resize(3 + count * NAME / 4, 0);
    ask(socket, device, &mut request)?;
    let text = |words: &[u32]| {
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    };
    Ok(request[3..].chunks(NAME / 4).map(text).collect())
}

/// Hands the kernel a command with its room for the answer.
fn ask(socket: &impl AsFd, device: &str, words: &mut [u32]) -> io::Result<()> {
    let mut request = Request { name: [0; DEVICE_NAME], data: words.as_mut_ptr().cast(), pad: [0; 16] };
    let Some(name) = request.name[..DEVICE_NAME - 1].get_mut(..device.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    name.copy_from_slice(device.as_bytes());
    // SAFETY: SIOCETHTOOL takes a `struct ifreq`, which `Request` is. Its `data` points to a command whose room the
    // callers made as long as the kernel writes: it says how long, and does not write beyond.
    let request = unsafe { Updater::<{ SIOCETHTOOL as rustix::ioctl::Opcode }, Request>::new(&mut request) };
    // SAFETY: as above; `words` outlives the call.
    unsafe { ioctl(socket, request) }.map_err(io::Error::from)
}
