//! One datagram: its number, a sum, and bytes that follow from both ends' seed and the number.

use crate::Random;

/// Bytes of the number and the sum.
const HEADER: usize = 16;
/// The longest: with its headers it fits an MTU of 1280.
pub(super) const LONGEST: usize = HEADER + 8 * 150;

/// Writes datagram `number` of the flow `seed`; its length. Lengths vary with the number.
pub(super) fn write(seed: u64, number: u64, buffer: &mut [u8; LONGEST]) -> usize {
    let mut random = Random::new(seed ^ number.rotate_left(32));
    let length = HEADER + 8 * (1 + number % 150) as usize;
    let mut sum = number;
    for word in buffer[HEADER..length].chunks_exact_mut(8) {
        let value = random.next();
        sum = sum.rotate_left(1) ^ value;
        word.copy_from_slice(&value.to_be_bytes());
    }
    buffer[..8].copy_from_slice(&number.to_be_bytes());
    buffer[8..HEADER].copy_from_slice(&sum.to_be_bytes());
    length
}

/// The number of a datagram of the flow `seed`; none where any byte is not as it was sent.
pub(super) fn read(seed: u64, bytes: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(*bytes.first_chunk()?);
    let mut expected = [0; LONGEST];
    let length = write(seed, number, &mut expected);
    (bytes == &expected[..length]).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_tells_its_number_and_no_other_byte_will_do() {
        let mut buffer = [0; LONGEST];
        for number in [0, 1, 149, 150, 70_000] {
            let length = write(7, number, &mut buffer);
            assert_eq!(read(7, &buffer[..length]), Some(number));
            assert_eq!(read(8, &buffer[..length]), None, "another flow");
            assert_eq!(read(7, &buffer[..length - 1]), None, "shorter");
            for place in 0..length {
                buffer[place] ^= 0x10;
                assert_eq!(read(7, &buffer[..length]), None, "byte {place}");
                buffer[place] ^= 0x10;
            }
        }
        assert_eq!(read(7, &[]), None);
    }
}
