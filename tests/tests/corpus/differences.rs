//! The rows that cases name where the kernel's own vxlan device does otherwise.

use std::collections::BTreeMap;

use overlay_tests::aligned;

use crate::{case::Case, frame::Family};

/// The rows of the tier fuzz, and why each is.
const FUZZ: &str = include_str!("../../benches/fuzz/differences.rs");

/// Rows of these cases only, and why each is.
const MORE: [(&str, &str); 6] = [
    ("UDP checksum", "not verified, as RFC 7348 section 5 allows: the inner frame has its own"),
    ("no anchor", "what only our vxlan device can unpack, while that is missing"),
    ("outer source is mapped IPv4", "it would pass for the IPv4 address of a VTEP"),
    ("outer length 0", "a jumbogram without its option (RFC 2675)"),
    ("outer routing header", "no VTEP sends any, and it may lead elsewhere"),
    ("five extension headers", "four are followed: the programs are bounded"),
];

/// The rows that cases name, and how many over IPv4 and over IPv6.
pub(crate) fn lines(cases: &[Case]) -> Vec<String> {
    let mut rows: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for case in cases {
        if let Some(row) = case.kernel {
            rows.entry(row).or_default()[usize::from(case.family == Family::V6)] += 1;
        }
    }
    let head = ["the kernel does otherwise", "over IPv4", "over IPv6", ""].map(str::to_owned).to_vec();
    let body = rows.into_iter().map(|(row, [v4, v6])| {
        let more = MORE.iter().find(|(name, _)| *name == row);
        let why = more.map_or("as in the tier fuzz", |(_, why)| why);
        vec![row.to_owned(), v4.to_string(), v6.to_string(), why.to_owned()]
    });
    aligned(&std::iter::once(head).chain(body).collect::<Vec<_>>())
}

/// Rows that are named and that nothing explains, and rows of ours that nothing names.
pub(crate) fn faults(cases: &[Case]) -> Vec<&'static str> {
    let named: Vec<&str> = cases.iter().filter_map(|case| case.kernel).collect();
    let is_explained =
        |row: &str| MORE.iter().any(|(name, _)| *name == row) || FUZZ.contains(&format!("\"{row}\""));
    let unexplained = named.iter().copied().filter(|row| !is_explained(row));
    let unnamed = MORE.iter().map(|(name, _)| *name).filter(|row| !named.contains(row));
    unexplained.chain(unnamed).collect()
}
