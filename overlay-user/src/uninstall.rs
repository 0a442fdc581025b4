//! `overlay uninstall`: removes every link, pin, device and file of ours.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::bail;

use crate::{
    cli::Paths,
    datapath::bpf,
    dir_lock,
    files::{self, absent_is_done},
    netlink::{Host, anchor::Anchor},
};

/// Removes what an agent with these paths left. It goes on after a failure, and says at the end what stays.
pub fn run(paths: &Paths) -> anyhow::Result<ExitCode> {
    if agent_runs(&paths.run_dir)? {
        bail!("an agent is running in {}; stop it first", paths.run_dir.display());
    }
    let mut left = Vec::new();
    let mut step = |what: String, result: Result<(), String>| {
        if let Err(error) = result {
            left.push(format!("{what} ({error})"));
        }
    };
    // Devices before programs: no frame may find a port without its guard.
    step("veths and neighbour entries".into(), remove_devices());
    step(
        format!("pins in {}", paths.pin_dir.display()),
        bpf::uninstall(&paths.pin_dir).map_err(|e| e.to_string()),
    );
    for dir in [&paths.state_dir, &paths.run_dir] {
        step(format!("{}", dir.display()), remove_files(dir).map_err(|e| e.to_string()));
    }
    if !left.is_empty() {
        bail!("not removed: {}", left.join("; "));
    }
    println!("removed links, pins, devices and files");
    Ok(ExitCode::SUCCESS)
}

/// Whether an agent holds the run directory.
fn agent_runs(run_dir: &Path) -> anyhow::Result<bool> {
    match dir_lock::lock(run_dir) {
        Ok(held) => Ok(held.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => bail!("cannot open {}: {error}", run_dir.display()),
    }
}

/// Removes our veths, what gives them headroom, our vxlan devices, and neighbour entries of this network namespace.
fn remove_devices() -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let host = Host::open().map_err(|e| e.to_string())?;
        for veth in host.our_veths().await.map_err(|e| e.to_string())? {
            host.delete_veth(veth.ifindex).await.map_err(|e| e.to_string())?;
        }
        host.remove_headroom().await.map_err(|e| e.to_string())?;
        for anchor in Anchor::ALL {
            host.remove_anchor(anchor).await.map_err(|e| e.to_string())?;
        }
        host.release_neighbours().await.map_err(|e| e.to_string())
    })
}

/// Removes a directory with what we keep in it; other files, and then the directory, stay.
fn remove_files(dir: &Path) -> io::Result<()> {
    absent_is_done(fs::remove_file(dir.join("overlay.sock")))?;
    for name in ["bindings.json", "gossip.json", "peers.json", "keyring.json", "join.json", "events.json"] {
        files::remove(&dir.join(name))?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        result => absent_is_done(result),
    }
}
