//! Times for people.

use std::time::{Duration, SystemTime};

/// The last second of the year 9999: beyond it there is nothing to be told.
const END: u64 = 253_402_300_799;

/// `2026-01-31T23:59:58Z`, of seconds since 1970.
pub(super) fn utc(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(END));
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_is_a_time() {
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
