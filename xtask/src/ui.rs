//! Lines for people: progress with its time, aligned tables, colour on a terminal only.

use std::{
    env,
    fmt::Display,
    io::{IsTerminal as _, Write as _, stdout},
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Work shorter than this shows no time.
const WORTH_TELLING: Duration = Duration::from_secs(2);
/// How often a log that is no terminal hears that the work goes on.
const STILL: Duration = Duration::from_secs(30);

fn terminal() -> bool {
    stdout().is_terminal()
}

fn colour(code: &str, text: &str) -> String {
    if terminal() && env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Text for what went well.
pub(crate) fn good(text: &str) -> String {
    colour("32", text)
}

/// Text for what went wrong.
pub(crate) fn bad(text: &str) -> String {
    colour("31", text)
}

/// Text for a heading.
pub(crate) fn heading(text: &str) -> String {
    colour("1", text)
}

/// A time as `12 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64().round())
}

/// Work under way: a line when it starts, its time while it goes on and at its end when it takes long.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts with `what`, as in `installing  llvm-22-dev (apt)`.
    pub(crate) fn start(what: impl Display) -> Self {
        let what = what.to_string();
        if terminal() {
            print!("{what}");
            flush();
        } else {
            println!("{what}");
        }
        Self::tick(what, false)
    }

    /// Shows `what` only while it goes on; who started it prints the line that stays.
    pub(crate) fn quiet(what: impl Display) -> Self {
        Self::tick(what.to_string(), true)
    }

    fn tick(what: String, quiet: bool) -> Self {
        let start = Instant::now();
        let (done, waiting) = channel();
        let ticker = thread::spawn(move || {
            let tick = if terminal() { Duration::from_secs(1) } else { STILL };
            while waiting.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let time = seconds(start.elapsed());
                if terminal() {
                    print!("\r{what}  {time}");
                    flush();
                } else {
                    println!("{what}  still at it after {time}");
                }
            }
            let time = start.elapsed();
            match (terminal(), time >= WORTH_TELLING) {
                // To the beginning of the line, and nothing on it.
                (true, _) if quiet => print!("\r\x1b[K"),
                (false, _) if quiet => {}
                (true, true) => println!("\r{what}  {}", seconds(time)),
                (true, false) => println!(),
                (false, true) => println!("{what}  done in {}", seconds(time)),
                (false, false) => {}
            }
        });
        Self { start, ticker: Some((done, ticker)) }
    }

    /// Ends it; the time it took.
    pub(crate) fn finish(mut self) -> Duration {
        self.end();
        self.start.elapsed()
    }

    fn end(&mut self) {
        if let Some((done, ticker)) = self.ticker.take() {
            drop(done);
            // A panic in it was printed when it happened.
            let _ = ticker.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn flush() {
    // Without a standard output nobody is watching.
    let _ = stdout().flush();
}

/// Prints rows in aligned columns, indented by two, the first row as their heading; numbers stand right.
pub(crate) fn table(rows: &[Vec<String>]) {
    for (index, line) in overlay_tests::aligned(rows).into_iter().enumerate() {
        println!("{}", if index == 0 { heading(&line) } else { line });
    }
}
