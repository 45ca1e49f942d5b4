//! The program itself, and others, as processes of their own.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tonic::transport::{Channel, Endpoint};

use super::{
    Caller, parts,
    server::{eventually, within},
};

/// The command `roster` in a folder, with nothing in its environment but what is given here.
pub fn roster(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    program(env!("CARGO_BIN_EXE_roster"), folder, arguments, variables)
}

/// The same of the older version that the environment names, or else of this one.
pub fn older_roster(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let older = parts::older_roster();
    program(older.as_deref().unwrap_or(env!("CARGO_BIN_EXE_roster")), folder, arguments, variables)
}

fn program(path: &str, folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(path);
    command.current_dir(folder).args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command to its end, without holding up the server that it may talk to. It has a minute.
pub async fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let id = child.id();
    let end = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let Ok(output) = tokio::time::timeout(Duration::from_mins(1), end).await else {
        signal(id, "KILL");
        panic!("{command:?} does not end");
    };
    output.unwrap()
}

/// Sends a process a signal by its name.
fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -s {name}");
}

/// What a command printed, on both outputs, as text.
pub fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// A port that the system gives nobody who asks for any: one that a server can be stopped on and started again.
pub fn steady_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 9000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 9000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process that runs beside the test and never outlives it.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command. What it prints is kept.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let lines = Arc::default();
        let readers =
            vec![collect(child.stdout.take().unwrap(), &lines), collect(child.stderr.take().unwrap(), &lines)];
        Self { child, lines, readers }
    }

    /// All lines that were printed so far, on either output.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All lines that were printed by a process that has ended.
    pub fn all_lines(&mut self) -> Vec<String> {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.lines()
    }

    /// Waits for a line that says something.
    pub async fn wait_for<T>(&mut self, what: &str, says: impl Fn(&str) -> Option<T>) -> T {
        eventually(what, async || {
            let ended = self.child.try_wait().unwrap();
            let lines = self.lines();
            let found = lines.iter().find_map(|line| says(line));
            assert!(found.is_some() || ended.is_none(), "{what}: it ended before, {ended:?}, after {lines:#?}");
            found
        })
        .await
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the end.
    pub async fn end(&mut self) -> ExitStatus {
        self.end_within(Duration::from_secs(20)).await
    }

    /// Waits longer for it.
    pub async fn end_within(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the process ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds each line to `lines` as it comes.
fn collect(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

/// `roster serve` on a free port.
pub struct Served {
    pub process: Process,
    pub address: SocketAddr,
}

impl Served {
    /// Starts it in a folder and waits until it takes calls.
    pub async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::of(roster, folder, variables).await
    }

    /// The same of another version.
    pub async fn of(
        program: impl FnOnce(&Path, &[&str], &[(&str, &str)]) -> Command,
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let any_port = [("ROSTER_SERVER__LISTEN", "127.0.0.1:0")];
        let mut process = Process::start(program(folder, &[], &[&any_port, variables].concat()));
        let address = process.wait_for("the address it serves on", address_in).await;
        Self { process, address }
    }

    /// Somebody who calls it.
    pub fn caller(&self) -> Caller {
        Caller::new(self.channel())
    }

    /// A connection to it.
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.endpoint()).unwrap().connect_lazy()
    }

    /// Its address as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The address in the line that says that calls are taken: the greeting, or the log where nobody is greeted.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("serves gRPC on ").or_else(|| line.split_once(r#""address":""#))?;
    rest.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).next()?.parse().ok()
}

/// A file with this text, for a command to read. The folders around it are made.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// Puts a file into its place as a whole: whoever reads it meanwhile reads the old one or the new one.
pub fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(&aside, path).unwrap();
}
