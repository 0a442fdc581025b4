//! What a check takes for growth.

use super::*;

fn of(kernel: &str, instructions: u32) -> BTreeMap<String, BTreeMap<String, u32>> {
    [(kernel.to_owned(), [("to_underlay".to_owned(), instructions)].into())].into()
}

fn on(cpu: &str, ratio: f64) -> BTreeMap<String, BTreeMap<String, f64>> {
    [(cpu.to_owned(), [("to_underlay: TCP".to_owned(), ratio)].into())].into()
}

fn costs(instructions: u32, ratio: f64) -> Costs {
    Costs { instructions: of("6.18", instructions), ratios: on("a", ratio) }
}

fn verdicts(budget: &Costs, measured: &Costs) -> Vec<Verdict> {
    budget.judge(measured).into_iter().map(|line| line.verdict).collect()
}

#[test]
fn a_tenth_more_is_within_and_more_than_that_is_not() {
    let budget = costs(1000, 0.50);
    assert_eq!(verdicts(&budget, &costs(1100, 0.55)), [Verdict::Within, Verdict::Within]);
    assert_eq!(verdicts(&budget, &costs(1101, 0.56)), [Verdict::Over, Verdict::Over]);
    assert_eq!(verdicts(&budget, &costs(10, 0.01)), [Verdict::Within, Verdict::Within]);
}

#[test]
fn short_times_have_the_slack_of_the_clock() {
    let budget = costs(1, 0.04);
    assert_eq!(verdicts(&budget, &costs(1, 0.069))[1], Verdict::Within);
    assert_eq!(verdicts(&budget, &costs(1, 0.08))[1], Verdict::Over);
}

#[test]
fn what_has_no_budget_and_what_is_gone_are_over() {
    let other = Costs {
        instructions: [("6.18".to_owned(), [("another".to_owned(), 1)].into())].into(),
        ratios: [("a".to_owned(), [("another".to_owned(), 0.1)].into())].into(),
    };
    // Of each kind, one that is measured and one that is gone.
    let over = [Verdict::Over, Verdict::Over, Verdict::Over, Verdict::Over];
    assert_eq!(verdicts(&other, &costs(1, 0.1)), over);
}

#[test]
fn instructions_are_judged_by_the_budget_of_their_kernel() {
    let mut budget = costs(1000, 0.1);
    let measured = Costs { instructions: of("6.1", 5000), ..Costs::default() };
    let skipped = verdicts(&budget, &measured);
    assert!(matches!(&skipped[..], [Verdict::Skipped(reason)] if reason.contains("6.1")), "{skipped:?}");
    budget.instructions.extend(of("6.1", 5000));
    assert_eq!(verdicts(&budget, &measured), [Verdict::Within]);
    assert_eq!(verdicts(&budget, &Costs { instructions: of("6.1", 5501), ..measured }), [Verdict::Over]);
}

#[test]
fn times_are_judged_by_the_budget_of_their_cpu() {
    let mut budget = costs(1, 0.1);
    let measured = Costs { ratios: on("b", 0.9), ..costs(1, 0.9) };
    let skipped = verdicts(&budget, &measured);
    assert!(matches!(&skipped[1], Verdict::Skipped(reason) if reason.contains("CPU b")), "{skipped:?}");
    assert_eq!(skipped[0], Verdict::Within);
    budget.ratios.extend(on("b", 0.9));
    assert_eq!(verdicts(&budget, &measured), [Verdict::Within, Verdict::Within]);
    assert_eq!(verdicts(&budget, &Costs { ratios: on("b", 1.0), ..measured })[1], Verdict::Over);
}

#[test]
fn what_is_accepted_leaves_the_rest_as_it_was() {
    let mut budget = costs(1000, 0.5);
    budget.take(Costs { instructions: of("6.1", 7), ..Costs::default() });
    assert_eq!(budget.instructions, [of("6.18", 1000), of("6.1", 7)].into_iter().flatten().collect());
    assert_eq!(budget.ratios, on("a", 0.5));
    budget.take(Costs { ratios: on("b", 0.6), ..costs(2, 0.4) });
    assert_eq!(budget.instructions, [of("6.18", 2), of("6.1", 7)].into_iter().flatten().collect());
    assert_eq!(budget.ratios, on("b", 0.6).into_iter().chain(on("a", 0.5)).collect());
}

#[test]
fn a_budget_is_read_as_it_was_written() {
    let mut costs = costs(1000, 0.5);
    costs.instructions.extend(of("6.1", 7));
    assert_eq!(parse(&costs.text()).expect("it is TOML"), costs);
}

#[test]
fn of_several_measurements_a_check_takes_the_best_and_a_budget_the_worst() {
    let (mut best, mut worst) = (costs(1, 0.5), costs(1, 0.5));
    for ratio in [0.6, 0.4] {
        best.keep_best(&costs(1, ratio));
        worst.keep_worst(&costs(1, ratio));
    }
    assert_eq!((best, worst), (costs(1, 0.4), costs(1, 0.6)));
}
