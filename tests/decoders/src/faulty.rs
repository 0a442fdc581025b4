//! Decoders that do wrong on purpose, each in a way that the run has to find.

use std::{thread::sleep, time::Duration};

use crate::Decoder;

/// Panics of a length that is larger than what is there, behind four bytes that chance does not guess.
pub(crate) const PANICS: Decoder = Decoder {
    name: "faulty-panics",
    longest: 64,
    words: &[],
    seeds: || vec![b"ovl1".to_vec()],
    read: |input| {
        // Byte by byte: each that is right is new coverage, which is how libFuzzer comes to the next.
        let magic = b"TAG7".iter().zip(input).take_while(|(magic, byte)| magic == byte).count();
        let [length, rest @ ..] = &input[magic..] else { return true };
        magic < 4 || !rest[..usize::from(*length)].is_empty()
    },
};

/// Does not come to an end where a length is zero.
pub(crate) const HANGS: Decoder = Decoder {
    name: "faulty-hangs",
    longest: 64,
    words: &[],
    seeds: || vec![vec![3, 3, 3, 3]],
    read: |input| {
        let mut place = 0;
        while let Some(length) = input.get(place) {
            place += usize::from(*length);
            if *length == 0 {
                // Does not heat the machine.
                sleep(Duration::from_millis(1));
            }
        }
        true
    },
};

/// Makes room for as many items as a length of four bytes says.
pub(crate) const GROWS: Decoder = Decoder {
    name: "faulty-grows",
    longest: 64,
    words: &[],
    seeds: || vec![vec![0, 0, 1, 0]],
    read: |input| {
        let Some(length) = input.first_chunk() else { return false };
        // A gigabyte at most: the machine is to survive it.
        let room = vec![1_u8; (u32::from_be_bytes(*length) >> 2) as usize];
        // libFuzzer looks at the memory once a second.
        sleep(Duration::from_millis(if room.len() > 1 << 29 { 2000 } else { 0 }));
        room.last() == Some(&1)
    },
};
