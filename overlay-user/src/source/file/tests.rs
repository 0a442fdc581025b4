//! How a file may change, and what is told of it.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// Longer than `REREAD`, so that a change is told of even where the watch misses it.
const PATIENCE: Duration = Duration::from_secs(20);

fn text(vtep: &str) -> String {
    format!("[[node]]\nname = \"h1\"\nvtep = \"{vtep}\"\n")
}

fn start(content: Option<&str>) -> (TempDir, PathBuf, FileSource) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cluster.toml");
    if let Some(content) = content {
        fs::write(&path, content).expect("a write");
    }
    let source = FileSource::new(path.clone());
    (directory, path, source)
}

/// The VTEP of the next event's cluster, or the error's message after the path.
async fn told(source: &mut FileSource) -> String {
    match timeout(PATIENCE, source.next()).await.expect("an event in time").expect("it says what") {
        Event::Cluster(cluster) => cluster.nodes["h1"].vteps.to_string(),
        Event::SourceFailed(error) => {
            let rest =
                error.message.strip_prefix(&source.path.display().to_string()).expect("the path first");
            let place = error.line.zip(error.column).map_or_else(String::new, |(l, c)| format!("{l}:{c}: "));
            assert!(rest[1..].trim_start().starts_with(&place), "{rest}");
            rest.to_owned()
        }
        other
        @ (Event::Endpoints(_) | Event::Underlay(_) | Event::PortUp { .. } | Event::PortDown { .. }) => {
            panic!("{other:?}")
        }
    }
}

async fn nothing_told(source: &mut FileSource) {
    assert!(timeout(QUIET * 5, source.next()).await.is_err());
}

#[tokio::test]
async fn the_content_is_told_at_once_and_every_edit_after_it() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    assert_eq!(told(&mut source).await, "10.0.0.1");
    fs::write(&path, text("10.0.0.2")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.2");
    fs::write(&path, text("10.0.0.2")).expect("a write");
    nothing_told(&mut source).await;
}

#[tokio::test]
async fn a_watched_edit_is_told_of_before_the_safety_net() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    let written = Instant::now();
    fs::write(&path, text("10.0.0.2")).expect("a write");
    told(&mut source).await;
    assert!(written.elapsed() < REREAD / 2, "{:?}", written.elapsed());
}

#[tokio::test]
async fn a_file_that_takes_long_is_told_of_although_other_things_happen_meanwhile() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    let network = "[[network]]\nname = \"blue\"\nvni = 42\nsubnets = [\"10.1.0.0/16\"]\n";
    let endpoint = |number: u32| {
        let (high, low) = (number / 250, number % 250 + 1);
        format!("[[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\nips = [\"10.1.{high}.{low}\"]\n")
    };
    let endpoints: String = (0..20_000).map(endpoint).collect();
    fs::write(&path, [&text("10.0.0.2"), network, &endpoints].concat()).expect("a write");
    let started = Instant::now();
    // Parsing takes longer than this. The loop of an agent drops the future each time something else happens.
    let event = loop {
        assert!(started.elapsed() < PATIENCE, "reading was begun again each time");
        if let Ok(event) = timeout(Duration::from_millis(10), source.next()).await {
            break event;
        }
    };
    assert!(matches!(event, Some(Event::Cluster(cluster)) if cluster.endpoints.len() == 20_000));
}

#[tokio::test]
async fn a_broken_edit_is_told_with_its_place_and_so_is_the_fix() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    fs::write(&path, text("10.0.0.300")).expect("a write");
    let error = told(&mut source).await;
    assert!(error.starts_with(":3:8: node.vtep: \"10.0.0.300\" is no IP address; "), "{error}");
    fs::write(&path, text("10.0.0.1")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.1");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told_without_a_place() {
    let (_directory, path, mut source) = start(None);
    assert_eq!(told(&mut source).await, ": there is no such file; create it, or name another");
    fs::write(&path, b"\xff").expect("a write");
    assert_eq!(told(&mut source).await, ": byte 1 is not UTF-8; save the file as UTF-8");
    fs::write(&path, text("10.0.0.1")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.1");
}

#[tokio::test]
async fn a_file_renamed_over_it_is_told() {
    let (directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    for vtep in ["10.0.0.2", "10.0.0.3"] {
        let new = directory.path().join(".cluster.toml.swp");
        fs::write(&new, text(vtep)).expect("a write");
        fs::rename(&new, &path).expect("a rename");
        assert_eq!(told(&mut source).await, vtep);
    }
}

#[tokio::test]
async fn a_file_removed_and_made_again_is_told() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    fs::remove_file(&path).expect("a removal");
    assert!(told(&mut source).await.contains("there is no such file"));
    fs::write(&path, text("10.0.0.1")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.1");
}

#[tokio::test]
async fn a_directory_removed_and_made_again_is_told() {
    let outer = tempfile::tempdir().expect("a directory");
    let directory = outer.path().join("overlay");
    let path = directory.join("cluster.toml");
    let make = |vtep| {
        fs::create_dir(&directory).expect("a directory");
        fs::write(&path, text(vtep)).expect("a write");
    };
    make("10.0.0.1");
    let mut source = FileSource::new(path.clone());
    told(&mut source).await;
    fs::remove_dir_all(&directory).expect("a removal");
    assert!(told(&mut source).await.contains("there is no such file"));
    make("10.0.0.2");
    assert_eq!(told(&mut source).await, "10.0.0.2");
    fs::write(&path, text("10.0.0.3")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.3");
}

/// Kubernetes mounts a `ConfigMap` so: the name links to `..data/`, which links to a directory that is replaced.
#[tokio::test]
async fn a_link_to_another_directory_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    for (name, vtep) in [("..1", "10.0.0.1"), ("..2", "10.0.0.2")] {
        fs::create_dir(at(name)).expect("a directory");
        fs::write(at(name).join("cluster.toml"), text(vtep)).expect("a write");
    }
    symlink("..1", at("..data")).expect("a link");
    symlink("..data/cluster.toml", at("cluster.toml")).expect("a link");
    let mut source = FileSource::new(at("cluster.toml"));
    assert_eq!(told(&mut source).await, "10.0.0.1");
    symlink("..2", at("..new")).expect("a link");
    fs::rename(at("..new"), at("..data")).expect("a rename");
    let swapped = Instant::now();
    assert_eq!(told(&mut source).await, "10.0.0.2");
    assert!(swapped.elapsed() < REREAD / 2, "{:?}", swapped.elapsed());
    fs::write(at("..2").join("cluster.toml"), text("10.0.0.3")).expect("a write");
    assert_eq!(told(&mut source).await, "10.0.0.3");
}

#[tokio::test]
async fn a_dropped_future_loses_no_change() {
    let (_directory, path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    fs::write(&path, text("10.0.0.2")).expect("a write");
    for _ in 0..50 {
        if let Ok(event) = timeout(Duration::from_millis(10), source.next()).await {
            assert!(matches!(event, Some(Event::Cluster(_))), "{event:?}");
            return;
        }
    }
    panic!("the change was lost");
}

#[tokio::test]
async fn an_idle_file_is_not_read_for_being_read() {
    let (_directory, _path, mut source) = start(Some(&text("10.0.0.1")));
    told(&mut source).await;
    nothing_told(&mut source).await;
    let before = source.latest_read;
    nothing_told(&mut source).await;
    assert_eq!(source.latest_read, before, "reading woke the watch");
}
