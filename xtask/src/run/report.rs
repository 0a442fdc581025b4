//! What the lab's agents say, and how to look around.

use anyhow::Result;
use overlay_tests::Lab;
use serde_json::Value;

use crate::ui;

/// Prints a line for each host's agent.
pub(crate) fn status(lab: &Lab) -> Result<()> {
    let words = ["host", "state", "vtep", "mtu", "endpoints", "ports", "programs", "source"];
    let mut rows = vec![words.map(str::to_owned).to_vec()];
    let mut problems = Vec::new();
    for host in &lab.hosts {
        let status = host.status()?;
        let programs = status["programs"].as_array().map_or(0, Vec::len);
        rows.push(vec![
            host.name.clone(),
            text(&status["state"]),
            text(&status["node"]["vtep"]),
            text(&status["node"]["mtu"]),
            text(&status["counts"]["endpoints"]),
            text(&status["counts"]["ports"]),
            programs.to_string(),
            text(&status["source"]["engine"]),
        ]);
        for problem in status["problems"].as_array().into_iter().flatten() {
            problems.push(format!(
                "  {}: {}; {}",
                host.name,
                text(&problem["message"]),
                text(&problem["fix"])
            ));
        }
    }
    println!("\n{}", ui::heading("Agents"));
    ui::table(&rows);
    for problem in problems {
        println!("{}", ui::bad(&problem));
    }
    Ok(())
}

/// Prints what each host's programs dropped, the proof's forbidden frames among it.
pub(crate) fn drops(lab: &Lab) -> Result<()> {
    let mut rows = vec![["host", "reason", "network", "frames"].map(str::to_owned).to_vec()];
    for host in &lab.hosts {
        let drops = host.ask(&["drops"])?;
        let counted = drops.as_array().into_iter().flatten().filter(|drop| drop["count"].as_u64() != Some(0));
        rows.extend(counted.map(|drop| {
            vec![host.name.clone(), text(&drop["reason"]), text(&drop["network"]), text(&drop["count"])]
        }));
    }
    println!("\n{}", ui::heading("Dropped, by reason"));
    if rows.len() == 1 {
        println!("  nothing");
    } else {
        ui::table(&rows);
    }
    Ok(())
}

/// Prints the end of every agent's log.
pub(crate) fn logs(lab: &Lab) {
    for host in &lab.hosts {
        eprintln!("--- the end of the log of {}\n{}", host.name, host.log_tail());
    }
}

/// Prints commands to try while the lab is up.
pub(crate) fn look_around(lab: &Lab) {
    let (Some(host), Some(first), Some(last)) =
        (lab.hosts.first(), lab.containers.first(), lab.containers.last())
    else {
        return;
    };
    let other = lab.containers.iter().rfind(|other| other.network == first.network).unwrap_or(last);
    let ip = other.ips.first().map_or_else(String::new, ToString::to_string);
    let overlay = format!("{} --run-dir {}", host.overlay.display(), host.dir.join("run").display());
    println!("\n{}", ui::heading("Look around"));
    println!(
        "  nsenter --net={} ping {ip}    # {} to {}",
        first.netns.path().display(),
        first.name,
        other.name
    );
    println!(
        "  nsenter --net={} tcpdump -ni {} udp port 4789    # the underlay",
        lab.underlay.netns.path().display(),
        host.name
    );
    for command in ["status", "endpoint list", "dump fdb", "drops"] {
        println!("  {overlay} {command}");
    }
    println!("  less {}", host.log_file().display());
    println!();
}

/// A JSON value as a cell of a table.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
