use super::{blue, machine, tell, wanted};
use crate::membership::{limits::Limits, refusal::Refusal, resolve::Why};

#[test]
fn an_address_that_another_has_is_refused_where_it_is_asked_for() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    let id = one.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    tell(&mut one, &mut two);
    let refused =
        Refusal::AddressTaken { ip: "10.1.0.2".parse().expect("an address"), id, node: "h1".to_owned() };
    assert_eq!(two.add_endpoint(wanted(&["10.1.0.2"])), Err(refused));
    assert!(matches!(two.add_endpoint(wanted(&["10.1.0.1"])), Err(Refusal::Address(_))), "the gateway");
    assert!(matches!(two.delete_network("blue"), Err(Refusal::NetworkInUse { .. })));
    two.add_endpoint(wanted(&["10.1.0.3"])).expect("free");
    tell(&mut two, &mut one);
    assert_eq!(one.view().cluster.endpoints.len(), 2);
    assert_eq!(one.view(), two.view());
}

#[test]
fn of_two_that_claim_an_address_unseen_one_holds_and_the_other_is_listed() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    two.add_endpoint(wanted(&["10.1.0.2"])).expect("not known to be taken");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let view = one.view();
    assert_eq!(view, two.view());
    assert_eq!((view.cluster.endpoints.len(), view.refused.len()), (1, 1));
    assert_eq!(view.refused[0].node, "h2", "both have the same count");
}

#[test]
fn a_cluster_that_is_full_takes_no_more_and_of_two_sides_together_the_older() {
    let limits = Limits { endpoints: 2, networks: 1 };
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.set_limits(limits);
    two.set_limits(limits);
    one.create_network("blue", None, blue()).expect("made");
    assert_eq!(one.create_network("green", None, blue()), Err(Refusal::FullOfNetworks(1)));
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("the first");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    // Unseen by each other.
    let second = one.add_endpoint(wanted(&["10.1.0.3"])).expect("the second");
    two.add_endpoint(wanted(&["10.1.0.4"])).expect("the second, too");
    assert_eq!(two.add_endpoint(wanted(&["10.1.0.5"])), Err(Refusal::FullOfEndpoints(2)));
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let view = one.view();
    assert_eq!(view, two.view());
    let refused: Vec<_> = view.refused.iter().map(|refused| (refused.node.as_str(), &refused.why)).collect();
    assert_eq!(
        (view.cluster.endpoints.len(), refused),
        (2, vec![("h1", &Why::Full)]),
        "of equals h1's is later"
    );
    one.delete_endpoint(&second).expect("its own");
    assert!(one.view().refused.is_empty(), "there is room again");
}

#[test]
fn what_a_claim_had_beaten_that_does_not_hold_holds() {
    let limits = Limits { endpoints: 1, networks: 9 };
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    two.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    one.add_endpoint(wanted(&["10.1.0.3"])).expect("added");
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("not known to be taken");
    tell(&mut two, &mut one);
    assert_eq!(one.view().cluster.endpoints.len(), 2);
    one.set_limits(limits);
    let view = one.view();
    let holder = view.cluster.endpoints.values().next().expect("one holds");
    assert_eq!((view.cluster.endpoints.len(), holder.node.as_str()), (1, "h2"), "the oldest of all");
}
