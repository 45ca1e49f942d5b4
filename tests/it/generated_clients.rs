//! Clients in other languages: what `buf generate` makes of the definitions is compiled, and calls a real server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use roster_client::Roster;
use roster_proto::v1::{CreateTeamRequest, CreateUserRequest};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{
    Db, Scene, TestServer, parts,
    pki::Authority,
    process::{Served, file, printed, run},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The generated code, made once for all tests. Go is left out where its plugins are not: nothing here could compile it.
async fn generated() -> &'static Path {
    static GENERATED: OnceCell<TempDir> = OnceCell::const_new();
    let folder = GENERATED.get_or_init(async || {
        let folder = tempfile::tempdir().unwrap();
        let everything = std::fs::read_to_string(Path::new(ROOT).join("buf.gen.yaml")).unwrap();
        let template = file(folder.path(), "buf.gen.yaml", &without_go(&everything));
        let mut buf = tool(&parts::buf());
        buf.current_dir(ROOT).arg("generate").arg("--template").arg(template).arg("--output").arg(folder.path());
        let output = run(buf).await;
        assert!(output.status.success(), "{}", printed(&output));
        folder
    });
    folder.await.path()
}

/// The template without its plugins for Go.
fn without_go(template: &str) -> String {
    let (head, plugins) = template.split_once("plugins:\n").unwrap();
    let (go, others) = plugins.split_once("  # Python").unwrap();
    assert!(go.contains("protoc-gen-go-grpc") && !others.contains("gen-go"), "Go stands first");
    format!("{head}plugins:\n  # Python{others}")
}

/// A command that finds the project's own tools first.
fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    let own = [parts::tools().join("bin"), modules().join(".bin")].map(|path| path.display().to_string());
    let path = format!("{}:{}", own.join(":"), parts::path());
    command.env("PATH", path).stdin(Stdio::null());
    command
}

fn modules() -> PathBuf {
    parts::tools().join("npm/node_modules")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_runs_on_generated_code() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    let mut python = tool(&parts::python());
    python.arg(Path::new(ROOT).join("examples/python/tour.py")).arg(served.address.to_string());
    python.env("PYTHONPATH", generated().await.join("gen/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run(python).await;
    insta::assert_snapshot!(printed(&output), @r"
    created Acme once
    invited bob
    Bob joined as member
    members: Ada, Bob
    refused: INVALID_ARGUMENT INVALID_FIELD email
    refused: FAILED_PRECONDITION OWNER_ROLE_NOT_GRANTABLE
    refused: ALREADY_EXISTS ALREADY_MEMBER
    events: team_created, member_added, invitation_created, invitation_accepted, member_added
    watched up to version 5
    ");
    assert!(output.status.success());
}

/// An example in TypeScript, compiled against the generated code: the folder to run it in, and its file.
async fn compiled(name: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path();
    std::os::unix::fs::symlink(generated().await.join("gen"), project.join("gen")).unwrap();
    std::os::unix::fs::symlink(modules(), project.join("node_modules")).unwrap();
    let example = Path::new(ROOT).join("examples/typescript").join(name).with_extension("ts");
    let source = format!("src/{name}.ts");
    file(project, &source, &std::fs::read_to_string(example).unwrap());
    file(project, "package.json", r#"{ "type": "module" }"#);
    let mut compile = tool("tsc");
    compile.current_dir(project).args(["--strict", "--target", "es2022", "--module", "nodenext"]);
    compile.args(["--preserveSymlinks", "--skipLibCheck", "--types", "node", "--outDir", "out"]);
    compile.args(["--rootDir", ".", &source]);
    let output = run(compile).await;
    assert!(output.status.success(), "{}", printed(&output));
    (folder, format!("out/src/{name}.js"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_example_compiles_and_runs() {
    let s = Scene::new(Db::Sqlite).await;
    let (folder, members) = compiled("members").await;
    let mut node = tool("node");
    node.current_dir(folder.path()).args([&members, &format!("http://{}", s.server.address()), &s.team]);
    assert_eq!(printed(&run(node).await), "ada: owner\nbob: admin\ncarol: member\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_for_pages_compiles_and_runs() {
    let authority = Authority::new();
    let server = TestServer::with(Db::Sqlite, |config| {
        config.server.tls = authority.server().served_from(&config.data_dir);
        config.server.grpc_web.enabled = true;
    });
    let server = server.await;
    let address = format!("https://localhost:{}", server.address().port());
    let roster = Roster::at(&address).tls(authority.trusting()).connect_lazy().unwrap();
    let ada =
        CreateUserRequest { user_id: "ada".to_owned(), email: "ada@example.com".to_owned(), ..Default::default() };
    roster.users().create_user(ada).await.unwrap();
    let team = CreateTeamRequest { name: "Acme".to_owned(), owner_user_id: "ada".to_owned(), ..Default::default() };
    let team = roster.teams().create_team(team).await.unwrap().into_inner().team.unwrap().id;

    let (folder, history) = compiled("history").await;
    let trusted = file(folder.path(), "authority.pem", authority.pem());
    let mut node = tool("node");
    node.current_dir(folder.path()).env("NODE_EXTRA_CA_CERTS", trusted).args([&history, &address, &team]);
    assert_eq!(printed(&run(node).await), "1: teamCreated\n2: memberAdded\n");
}
