//! The engine `file`: a cluster.toml that is watched.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::{
    sync::Notify,
    task::{self, JoinHandle},
    time::{Instant, sleep_until},
};

use super::Source;
use crate::{
    cluster::Cluster,
    event::{Event, SourceError},
    text_file,
};

#[cfg(test)]
mod tests;

/// The largest cluster.toml, in bytes.
pub const FILE_LIMIT: u64 = 64 << 20;
/// How long the directory must be quiet before the file is read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// How often the file is read when nothing seems to happen: not every file system tells of changes.
const REREAD: Duration = Duration::from_secs(5);

/// The content of the file, or why there is none.
type Content = Result<String, String>;

/// A watched cluster.toml.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    /// The content that the last event told of.
    told: Option<Arc<Content>>,
    /// When the file is read next.
    next_read: Instant,
    /// When it is read even if its directory is never quiet.
    latest_read: Instant,
    /// A reading under way. It outlives the future that waits for it: one dropped again and again, by an agent that has
    /// other things to do, would never see the end of a file that takes long.
    reading: Option<JoinHandle<Option<Read>>>,
    watch: Option<Watch>,
}

/// A content that was not told yet, and what to tell of it.
type Read = (Arc<Content>, Event);

/// The directories in which a change may be one of the file.
#[derive(Debug)]
struct Watch {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl FileSource {
    /// A source that reads the file at `path`.
    ///
    /// It must be made and polled inside of a tokio runtime.
    pub fn new(path: PathBuf) -> Self {
        let now = Instant::now();
        let watch = Watch::new()
            .inspect_err(|error| {
                tracing::warn!("cannot watch {} ({error}); it is read every {REREAD:?}", path.display());
            })
            .ok();
        let mut source = Self { path, told: None, next_read: now, latest_read: now, reading: None, watch };
        source.watch_directories();
        source
    }

    /// Watches the directories of the file; each time anew, because one may have been replaced by another.
    fn watch_directories(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.follow(directories(&self.path));
        }
    }

    /// Waits until the file is to be read.
    async fn due(&mut self) {
        loop {
            let changed = self.watch.as_ref().map(|watch| Arc::clone(&watch.changed));
            tokio::select! {
                () = sleep_until(self.next_read) => return,
                () = wait(changed) => self.next_read = (Instant::now() + QUIET).min(self.latest_read),
            }
        }
    }

    /// Reads the file; the event when it differs from what was told last.
    async fn read(&mut self) -> Option<Event> {
        let reading = self.reading.get_or_insert_with(|| {
            let (path, told) = (self.path.clone(), self.told.clone());
            // Reading blocks, and parsing a file of many megabytes takes its time.
            task::spawn_blocking(move || {
                let content = text_file::read(&path, FILE_LIMIT);
                if told.is_some_and(|told| *told == content) {
                    return None;
                }
                let event = event(&path, &content);
                Some((Arc::new(content), event))
            })
        });
        let answer = reading.await;
        self.reading = None;
        self.latest_read = Instant::now() + REREAD;
        self.next_read = self.latest_read;
        match answer {
            Ok(None) => None,
            Ok(Some((content, event))) => {
                self.told = Some(content);
                Some(event)
            }
            // Only a runtime that shuts down cancels it, and then nobody waits for the answer.
            Err(error) => {
                tracing::error!("cannot read {}: {error}", self.path.display());
                None
            }
        }
    }
}

impl Source for FileSource {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            // A change meanwhile is for the reading after that.
            if self.reading.is_none() {
                self.due().await;
                self.watch_directories();
            }
            if let Some(event) = self.read().await {
                return Some(event);
            }
        }
    }
}

impl Watch {
    fn new() -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is an access too, and would wake us for ever.
            let ours = event.is_ok_and(|event| match event.kind {
                EventKind::Access(kind) => {
                    !matches!(kind, AccessKind::Close(notify::event::AccessMode::Write))
                }
                EventKind::Any
                | EventKind::Create(_)
                | EventKind::Modify(_)
                | EventKind::Remove(_)
                | EventKind::Other => false,
            });
            if !ours {
                wake.notify_one();
            }
        })?;
        Ok(Self { watcher, directories: BTreeSet::new(), changed })
    }

    fn follow(&mut self, directories: BTreeSet<PathBuf>) {
        for gone in self.directories.difference(&directories) {
            // The kernel has ended the watch already when the directory was removed.
            let _ = self.watcher.unwatch(gone);
        }
        self.directories = directories
            .into_iter()
            .filter(|directory| match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!("cannot watch {}: {error}", directory.display());
                    false
                }
            })
            .collect();
    }
}

/// Where the file's name stands, and where the file is when its name is a symbolic link.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let named = path.parent().map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    let target = path.canonicalize().ok().and_then(|target| target.parent().map(Path::to_owned));
    named.and_then(|parent| parent.canonicalize().ok()).into_iter().chain(target).collect()
}

/// Waits for a change, for ever where nothing is watched.
async fn wait(changed: Option<Arc<Notify>>) {
    match changed {
        Some(changed) => changed.notified().await,
        None => std::future::pending().await,
    }
}

/// What the content means.
fn event(path: &Path, content: &Content) -> Event {
    let path = path.display();
    match content {
        Ok(text) => match Cluster::parse(text) {
            Ok(cluster) => Event::Cluster(cluster),
            Err(error) => Event::SourceFailed(SourceError {
                message: format!("{path}:{error}"),
                line: Some(error.line),
                column: Some(error.column),
            }),
        },
        Err(message) => Event::SourceFailed(SourceError {
            message: format!("{path}: {message}"),
            line: None,
            column: None,
        }),
    }
}
