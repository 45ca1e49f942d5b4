//! The server as grpcurl sees it, which knows nothing of it but what reflection tells.

use std::process::{Command, Stdio};

use crate::support::{
    Db, TestServer, parts,
    process::{Served, printed, run},
};

/// What grpcurl prints, and whether it succeeded.
async fn grpcurl(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(parts::grpcurl());
    command.arg("-plaintext").args(arguments).stdin(Stdio::null());
    let output = run(command).await;
    (output.status.success(), printed(&output))
}

async fn succeeds(arguments: &[&str]) -> String {
    let (success, text) = grpcurl(arguments).await;
    assert!(success, "grpcurl {arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_describes_itself() {
    let server = TestServer::start(Db::Sqlite).await;
    let address = &server.address().to_string();
    insta::assert_snapshot!(succeeds(&[address, "list"]).await, @r"
    grpc.health.v1.Health
    grpc.reflection.v1alpha.ServerReflection
    roster.v1.AccessService
    roster.v1.EventService
    roster.v1.InvitationService
    roster.v1.RoleService
    roster.v1.TeamService
    roster.v1.UserService
    ");
    let service = succeeds(&[address, "describe", "roster.v1.TeamService"]).await;
    assert!(
        service.contains("// Creates a root team together with its owner") && service.contains("rpc CreateTeam ("),
        "{service}"
    );
    let method = succeeds(&[address, "describe", "roster.v1.TeamService.LeaveTeam"]).await;
    let (comment, definition): (Vec<&str>, Vec<&str>) = method.lines().partition(|line| line.starts_with("//"));
    assert!(comment[0].starts_with("// Ends the membership of the person that the call acts for."), "{method}");
    insta::assert_snapshot!(definition.join("\n"), @r#"
    roster.v1.TeamService.LeaveTeam is a method:
    rpc LeaveTeam ( .roster.v1.LeaveTeamRequest ) returns ( .roster.v1.LeaveTeamResponse ) {
      option idempotency_level = IDEMPOTENT;
      option (.google.api.http) = { post:"/v1/teams/{team_id}:leave" body:"*"  };
      option (.roster.options.v1.required_permission) = "roster.members.leave";
    }
    "#);
    let message = succeeds(&[address, "describe", "roster.events.v1.Event"]).await;
    assert!(message.contains("// The event's place in the order of all events: an opaque cursor."), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_refusals_can_be_read() {
    let server = TestServer::start(Db::Sqlite).await;
    let address = &server.address().to_string();
    let ada = r#"{"userId": "ada", "email": "ada@example.com"}"#;
    let made = succeeds(&["-d", ada, address, "roster.v1.UserService/CreateUser"]).await;
    assert!(made.contains(r#""id": "ada""#), "{made}");

    let (success, refused) = grpcurl(&["-d", r#"{"email": "x y"}"#, address, "roster.v1.UserService/CreateUser"]).await;
    assert!(!success);
    insta::assert_snapshot!(refused, @r#"
    ERROR:
      Code: InvalidArgument
      Message: these fields break their rules: email
      Details:
      1)	{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"roster","metadata":{"fields":"email"},"reason":"INVALID_FIELD"}
      2)	{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"email","description":"must be an e-mail address such as ada@example.com"}]}
    "#);
    let health = succeeds(&[address, "grpc.health.v1.Health/Check"]).await;
    assert!(health.contains("SERVING"), "{health}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reflection_nothing_is_described() {
    let server = TestServer::with(Db::Sqlite, |config| config.server.reflection = false).await;
    let (success, text) = grpcurl(&[&server.address().to_string(), "list"]).await;
    assert!(!success && text.contains("server does not support the reflection API"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_the_greeting_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(folder.path(), &[]).await;
    // The last of them.
    let last = |line: &str| line.contains("TeamService/CreateTeam").then_some(());
    served.process.wait_for("the greeting", last).await;
    let lines = served.process.lines();
    let lines: Vec<_> = lines.iter().filter(|line| line.trim_start().starts_with("grpcurl ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, told) in lines.into_iter().zip(["roster.v1.TeamService", r#""id": "me""#, r#""name": "My team""#]) {
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(format!("grpcurl() {{ \"$GRPCURL\" \"$@\"; }}\n{line}")).env("GRPCURL", parts::grpcurl());
        let output = run(bash).await;
        assert!(output.status.success() && printed(&output).contains(told), "{line}: {}", printed(&output));
    }
}
