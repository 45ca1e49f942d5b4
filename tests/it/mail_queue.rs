//! The queue of mails, whatever plan PostgreSQL makes for taking from it.

use roster_proto::v1::BatchCreateInvitationsRequest;

use crate::support::{Db, Outcome as _, Scene, server::eventually, session::Session};

/// Has every new session join by loops alone, in which a part of a statement may be run again and again.
const LOOPS: &str = "
    DO $$ DECLARE setting text; BEGIN
        FOREACH setting IN ARRAY ARRAY['hashjoin', 'mergejoin', 'hashagg', 'material', 'sort'] LOOP
            EXECUTE format('ALTER DATABASE %I SET enable_%s = off', current_database(), setting);
        END LOOP;
    END $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_mails_are_taken_a_few_at_a_time() {
    let mut s = Scene::new(Db::Postgres).await;
    let sql = Session::open(&s.server.database.url).await;
    sql.run(LOOPS).await;
    s.server.restart().await;
    let people: Vec<_> = (0..40).map(|n| format!("person-{n}@example.com")).collect();
    let request = BatchCreateInvitationsRequest {
        team_id: s.team.clone(),
        text: people.join(" "),
        role_ids: vec!["member".to_owned()],
        ..Default::default()
    };
    s.person("ada").invitations().batch_create_invitations(request).await.done();
    eventually("all are sent", async || (sql.value::<i64>("SELECT count(*) FROM mails").await == 0).then_some(()))
        .await;
    for person in people {
        assert_eq!(s.server.mails_to(&person).len(), 1, "{person}");
    }
    s.person("ada").list(&s.team).await.done();
    sql.close().await;
}
