//! The inputs: a good one, and whatever is near it.

/// Every input that differs from a good one in one byte, and the good one.
pub(crate) fn single_bytes<const N: usize>(good: [u8; N]) -> impl Iterator<Item = [u8; N]> {
    (0..N).flat_map(move |place| (0..=u8::MAX).map(move |byte| with(good, &[(place, byte)])))
}

/// Every input that differs from a good one in two bytes, which have the values that tell most: the ends of their range,
/// the good one's neighbours, each bit.
pub(crate) fn pairs<const N: usize>(good: [u8; N]) -> impl Iterator<Item = [u8; N]> {
    let places = (0..N).flat_map(|first| (0..first).map(move |second| (first, second)));
    places.flat_map(move |(first, second)| {
        telling(good[first])
            .into_iter()
            .flat_map(move |a| telling(good[second]).map(move |b| with(good, &[(first, a), (second, b)])))
    })
}

fn telling(good: u8) -> [u8; 13] {
    let bit = |bit: u8| good ^ 1 << bit;
    let [b0, b1, b2, b3, b4, b5, b6, b7] = [0, 1, 2, 3, 4, 5, 6, 7].map(bit);
    [0, u8::MAX, good, good.wrapping_add(1), good.wrapping_sub(1), b0, b1, b2, b3, b4, b5, b6, b7]
}

fn with<const N: usize>(mut bytes: [u8; N], changes: &[(usize, u8)]) -> [u8; N] {
    for (place, byte) in changes {
        bytes[*place] = *byte;
    }
    bytes
}

/// The sum of 16-bit words with the carries added back (RFC 1071), one word after another; bytes that end in half a word
/// are filled up with zero.
pub(crate) fn internet_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
