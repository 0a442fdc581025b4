//! Whatever a file holds, reading it ends without a panic.

use super::*;

proptest! {
    #[test]
    fn any_text_is_refused_or_read(text in ".{0,200}") {
        let _ = Cluster::parse(&text);
    }

    #[test]
    fn any_value_anywhere_is_refused_or_read(
        key in "(name|vtep|kind|vni|subnets|gateways|mtu|ips|mac|allowed_ips|allowed_macs|flood)",
        value in r#"(-?[0-9]{1,25}|0x[0-9a-f]{1,9}|[0-9]\.[0-9]|true|"[^"\\\n]{0,20}"|\["[0-9a-f:./]{0,20}"(, "[0-9a-f:./]{0,20}")?\]|\{ a = 1 \}|1979-05-27)"#,
        table in "(node|network|endpoint)",
    ) {
        let _ = Cluster::parse(&format!("{VALID}\n[[{table}]]\nnetwork = \"blue\"\nnode = \"h1\"\n{key} = {value}\n"));
        let _ = Cluster::parse(&format!("{VALID}\n[[{table}]]\n{key} = {value}\n"));
    }

    #[test]
    fn a_mutated_file_is_refused_at_a_place_in_it_or_read(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~\\n]{0,3}"), 1..4),
    ) {
        let mut text = VALID.to_owned();
        for (at, length, new) in edits {
            let at = at.index(text.len());
            let end = (at + length.index(8)).min(text.len());
            text.replace_range(at..end, &new);
        }
        if let Err(error) = Cluster::parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}");
            prop_assert!(error.column >= 1, "{error}");
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn deep_nesting_is_refused(depth in 0..5000_usize, open in "(\\[|\\{a=)") {
        let _ = Cluster::parse(&format!("node = {}", open.repeat(depth)));
    }
}
