//! Clients in other languages: what `buf generate` makes of the definitions is compiled, and calls a real server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{
    parts,
    process::{Served, file, printed, run},
    scene::{create_team, create_user},
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_example_compiles_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), &[]).await;
    let service = served.caller();
    create_user(&service, "ada").await;
    let team = create_team(&service, "Acme", "ada").await;

    let project = folder.path().join("project");
    let gen_folder = project.join("gen");
    std::fs::create_dir(&project).unwrap();
    std::os::unix::fs::symlink(generated().await.join("gen"), &gen_folder).unwrap();
    std::os::unix::fs::symlink(modules(), project.join("node_modules")).unwrap();
    let example = std::fs::read_to_string(Path::new(ROOT).join("examples/typescript/members.ts")).unwrap();
    file(&project, "src/members.ts", &example);
    file(&project, "package.json", r#"{ "type": "module" }"#);
    let mut compile = tool("tsc");
    compile.current_dir(&project).args(["--strict", "--target", "es2022", "--module", "nodenext"]);
    compile.args(["--preserveSymlinks", "--skipLibCheck", "--types", "node", "--outDir", "out"]);
    compile.args(["--rootDir", ".", "src/members.ts"]);
    let output = run(compile).await;
    assert!(output.status.success(), "{}", printed(&output));

    let mut node = tool("node");
    node.current_dir(&project).args(["out/src/members.js", &served.endpoint(), &team]);
    let output = run(node).await;
    assert_eq!(printed(&output), "ada: owner\n");
}
