//! What `cargo xtask bench prog --check` takes for growth.

#[expect(dead_code, reason = "the tests judge figures of their own, and print and write none")]
#[path = "../../benches/prog/budget.rs"]
mod judge;

use self::judge::{Costs, Verdict, parse};

fn costs(instructions: u32, ratio: f64) -> Costs {
    Costs {
        kernel: "6.18".into(),
        cpu: "a".into(),
        instructions: [("to_underlay".to_owned(), instructions)].into(),
        ratios: [("to_underlay: TCP".to_owned(), ratio)].into(),
    }
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
    let over = [Verdict::Over, Verdict::Over];
    assert_eq!(
        verdicts(&Costs { kernel: "6.18".into(), cpu: "a".into(), ..Costs::default() }, &costs(1, 0.1)),
        over
    );
    assert_eq!(
        verdicts(&costs(1, 0.1), &Costs { kernel: "6.18".into(), cpu: "a".into(), ..Costs::default() }),
        over
    );
}

#[test]
fn instructions_that_another_kernel_counted_are_not_judged() {
    let measured = Costs { kernel: "6.12".into(), ..costs(5000, 0.1) };
    let verdicts = verdicts(&costs(1, 0.1), &measured);
    assert!(matches!(&verdicts[0], Verdict::Skipped(reason) if reason.contains("6.12")), "{verdicts:?}");
    assert_eq!(verdicts[1], Verdict::Within);
}

#[test]
fn times_of_another_cpu_are_not_judged() {
    let measured = Costs { cpu: "b".into(), ..costs(1, 0.9) };
    let verdicts = verdicts(&costs(1, 0.1), &measured);
    assert!(matches!(&verdicts[1], Verdict::Skipped(reason) if reason.contains("CPU")), "{verdicts:?}");
    assert_eq!(verdicts[0], Verdict::Within);
}

#[test]
fn a_budget_is_read_as_it_was_written() {
    let costs = costs(1000, 0.5);
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
