//! What holds of every plan, for tables drawn at random over few keys.

use ipnet::IpNet;
use proptest::{collection, prelude::*};

use super::*;
use crate::{
    event::NextHop,
    tables::{Anchors, Answers, Fdb, Program},
};

fn vni(number: u32) -> Vni {
    Vni::new(number).expect("a VNI")
}

fn vtep(number: u8) -> IpAddr {
    IpAddr::from([10, 88, 0, number])
}

fn mac(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, number])
}

fn next_hop() -> impl Strategy<Value = Option<NextHop>> {
    prop::option::of((1..3_u8, prop::option::of(0..2_u8)).prop_map(|(via, neighbour)| NextHop {
        ifindex: Ifindex(1),
        via: vtep(via),
        mac: neighbour.map(mac),
        source_mac: mac(9),
        inner_mtu: 1450,
    }))
}

fn place(number: u8, encrypted: bool) -> Station {
    let at = match number {
        0 => Fdb::Local { ifindex: Ifindex(10), forwards: false },
        remote => Fdb::Remote { vtep: vtep(remote), encrypted },
    };
    Station { at, answers: Answers { ipv4: encrypted, link_local: true } }
}

fn port(number: u32, source: u8) -> Port {
    Port {
        vni: vni(number),
        macs: vec![mac(source)],
        allowed: vec![IpNet::from(IpAddr::from([10, 1, 0, source]))],
        allow_ra: false,
        allow_dhcp_server: false,
    }
}

/// Tables in which, as in those of `State` and in what a plan has left, nothing refers to what is not there.
fn tables() -> impl Strategy<Value = Tables> {
    let node = (0..2_u16).prop_map(|port| NodeEntry {
        vtep_v4: Some([10, 88, 0, 9].into()),
        vtep_v6: None,
        underlay: Ifindex(1),
        udp_port: 4789 + port,
        mac: MacAddr::ZERO,
        anchors: Anchors::default(),
        shared: false,
    });
    let nets = collection::btree_map(
        (1..4_u32).prop_map(vni),
        (any::<bool>(), prop::option::of(0..2_u8)).prop_map(|(encrypted, gateway)| Net {
            encrypted,
            gateway_v4: gateway.map(|number| [10, 1, 0, number].into()),
            ..Net::default()
        }),
        0..3,
    );
    let vteps = collection::btree_map(
        (1..4_u8).prop_map(vtep),
        (next_hop(), any::<bool>()).prop_map(|(next_hop, external)| Vtep { next_hop, other: None, external }),
        0..3,
    );
    let members = collection::btree_set((1..4_u32, 1..4_u8), 0..5);
    let neigh = collection::btree_map((1..4_u32, 0..4_u8), 0..3_u8, 0..5);
    let fdb = collection::btree_map((1..4_u32, 0..4_u8), (0..4_u8, any::<bool>()), 0..6);
    let ports = collection::btree_map(10..13_u32, (1..4_u32, 0..3_u8), 0..3);
    (node, nets, vteps, members, neigh, fdb, ports).prop_map(
        |(node, nets, vteps, members, neigh, fdb, ports)| {
            let mut tables = Tables { node: Some(node), nets, vteps, ..Tables::default() };
            let net = |number: &u32| tables.nets.contains_key(&vni(*number));
            let known = |number: &u8| *number == 0 || tables.vteps.contains_key(&vtep(*number));
            let members = members
                .iter()
                .filter(|(n, v)| net(n) && known(v))
                .map(|(n, v)| (vni(*n), vtep(*v)))
                .collect();
            let neigh = neigh
                .iter()
                .filter(|((n, _), _)| net(n))
                .map(|((n, i), m)| ((vni(*n), vtep(*i)), mac(*m)))
                .collect();
            let fdb = fdb
                .iter()
                .filter(|((n, _), (v, _))| net(n) && known(v))
                .map(|((n, m), (v, encrypted))| ((vni(*n), mac(*m)), place(*v, *encrypted)))
                .collect();
            let ports: BTreeMap<_, _> = ports
                .iter()
                .filter(|(_, (n, _))| net(n))
                .map(|(i, (n, m))| (Ifindex(*i), port(*n, *m)))
                .collect();
            tables.hooks = ports
                .keys()
                .map(|ifindex| Hook { program: Program::FromContainer, ifindex: *ifindex })
                .collect();
            tables.hooks.insert(Hook { program: Program::FromUnderlay, ifindex: Ifindex(1) });
            Tables { members, neigh, fdb, ports, ..tables }
        },
    )
}

/// Whether every entry refers only to networks, VTEPs and ports that are there.
fn closed(tables: &Tables) -> bool {
    let net = |vni: &Vni| tables.nets.contains_key(vni);
    let vtep = |vtep: &IpAddr| tables.vteps.contains_key(vtep);
    tables.members.iter().all(|(n, v)| net(n) && vtep(v))
        && tables.neigh.keys().all(|(n, _)| net(n))
        && tables.fdb.keys().all(|(n, _)| net(n))
        && tables.fdb.values().all(|station| match station.at {
            Fdb::Local { .. } => true,
            Fdb::Remote { vtep: ref remote, .. } => vtep(remote),
        })
        && tables.ports.values().all(|port| net(&port.vni))
        && tables.hooks.iter().all(|hook| match hook.program {
            Program::FromContainer => tables.ports.contains_key(&hook.ifindex),
            Program::Unguarded
            | Program::FromUnderlay
            | Program::FromAnchor
            | Program::ToUnderlay
            | Program::XdpUnderlay => true,
        })
}

fn apply(ops: &[Op], tables: &mut Tables) {
    for op in ops {
        op.apply_to(tables);
    }
}

proptest! {
    #[test]
    fn a_plan_leads_to_the_desired_tables(desired in tables(), installed in tables()) {
        let mut reached = installed.clone();
        apply(&diff(&desired, &installed), &mut reached);
        prop_assert_eq!(reached, desired);
    }

    #[test]
    fn a_plan_installs_everything_from_nothing(desired in tables()) {
        let mut reached = Tables::default();
        apply(&diff(&desired, &Tables::default()), &mut reached);
        prop_assert_eq!(reached, desired);
    }

    #[test]
    fn nothing_is_planned_for_equal_tables(tables in tables()) {
        prop_assert_eq!(diff(&tables, &tables), vec![]);
    }

    #[test]
    fn a_plan_interrupted_anywhere_converges_from_there(desired in tables(), installed in tables()) {
        let ops = diff(&desired, &installed);
        for done in 0..ops.len() {
            let mut reached = installed.clone();
            apply(&ops[..done], &mut reached);
            let rest = diff(&desired, &reached);
            prop_assert_eq!(&rest, &ops[done..]);
            apply(&rest, &mut reached);
            prop_assert_eq!(&reached, &desired);
        }
    }

    #[test]
    fn no_step_leaves_an_entry_that_refers_to_nothing(desired in tables(), installed in tables()) {
        let mut reached = installed.clone();
        for op in diff(&desired, &installed) {
            op.apply_to(&mut reached);
            prop_assert!(closed(&reached), "after {op:?}");
        }
    }

    #[test]
    fn what_stays_is_never_removed(desired in tables(), installed in tables()) {
        for op in diff(&desired, &installed) {
            match op {
                Op::DelFdb(vni, mac) => prop_assert!(!desired.fdb.contains_key(&(vni, mac))),
                Op::DelNeigh(vni, ip) => prop_assert!(!desired.neigh.contains_key(&(vni, ip))),
                Op::DelPort(ifindex) => prop_assert!(!desired.ports.contains_key(&ifindex)),
                Op::Detach(hook) => prop_assert!(!desired.hooks.contains(&hook)),
                Op::DelNet(vni) => prop_assert!(!desired.nets.contains_key(&vni)),
                Op::DelVtep(vtep) => prop_assert!(!desired.vteps.contains_key(&vtep)),
                Op::DelMember(vni, vtep) => prop_assert!(!desired.members.contains(&(vni, vtep))),
                Op::SetNode(_) | Op::SetNet(..) | Op::SetVtep(..) | Op::AddMember(..) | Op::SetNeigh(..)
                | Op::SetFdb(..) | Op::SetPort(..) | Op::Attach(_) => {}
            }
        }
    }
}

#[test]
fn a_move_is_one_step() {
    let at = |number| Tables {
        nets: [(vni(1), Net::default())].into(),
        vteps: [1, 2].map(|n| (vtep(n), Vtep { next_hop: None, other: None, external: false })).into(),
        fdb: [((vni(1), mac(1)), place(number, false))].into(),
        ..Tables::default()
    };
    assert_eq!(diff(&at(2), &at(1)), [Op::SetFdb(vni(1), mac(1), place(2, false))]);
}
