//! Texts: MAC addresses. What is printed is read; what is near it is read or refused as a model does.

use overlay_common::{InvalidMac, MacAddr};

/// Six groups of one or two hexadecimal digits, by their characters alone.
fn model(text: &str) -> Option<[u8; 6]> {
    let groups: Vec<&str> = text.split(':').collect();
    let groups: [&str; 6] = groups.try_into().ok()?;
    let digit = |c: char| "0123456789abcdef".find(c.to_ascii_lowercase());
    let group = |group: &str| {
        let digits: Vec<usize> = group.chars().map(digit).collect::<Option<_>>()?;
        match digits.as_slice() {
            [low] => Some(*low as u8),
            [high, low] => Some((high * 16 + low) as u8),
            _ => None,
        }
    };
    let bytes: Vec<u8> = groups.into_iter().map(group).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

fn check(text: &str) {
    assert_eq!(text.parse::<MacAddr>(), model(text).map(MacAddr::new).ok_or(InvalidMac), "{text:?}");
}

#[test]
fn every_short_text_of_what_a_mac_address_is_made_of() {
    assert_eq!(model("02:42:0a:01:00:0F"), Some([2, 0x42, 10, 1, 0, 15]), "the control");
    let characters = [':', '0', 'f', 'F', 'g', '+', '-', ' ', 'é'];
    let mut texts = vec![String::new()];
    for _ in 0..5 {
        texts = texts.iter().flat_map(|text| characters.map(|c| format!("{text}{c}"))).collect();
        for text in &texts {
            check(text);
            check(&format!("02:42:0a:01:00:{text}"));
            check(&format!("{text}:42:0a:01:00:01"));
        }
    }
}

#[test]
fn an_address_with_one_other_character_anywhere() {
    let good = "02:42:0a:01:00:ff";
    check(good);
    for place in 0..=good.len() {
        check(&good[..place]);
        for character in (0..0x180).filter_map(char::from_u32) {
            check(&format!("{}{character}{}", &good[..place], &good[place..]));
            if place < good.len() {
                check(&format!("{}{character}{}", &good[..place], &good[place + 1..]));
            }
        }
    }
}

#[test]
fn every_byte_is_read_as_it_is_printed() {
    for byte in 0..=u8::MAX {
        for place in 0..6 {
            let mut bytes = [0x5a; 6];
            bytes[place] = byte;
            let mac = MacAddr::new(bytes);
            assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }
}
