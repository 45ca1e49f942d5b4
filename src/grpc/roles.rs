//! `RoleService`.

use roster_proto::v1::{self as wire, role_service_server::RoleService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, role},
    page::Pages,
};
use crate::domain::RoleId;

/// Serves roles.
#[derive(Debug, Clone)]
pub struct RolesOfTeams(pub Api);

#[async_trait]
impl RoleService for RolesOfTeams {
    async fn get_role(
        &self,
        request: Request<wire::GetRoleRequest>,
    ) -> Result<Response<wire::GetRoleResponse>, Status> {
        serve(request, async |cx, request| {
            let fresh = self.0.consistency(request.consistency.as_ref())?;
            let mut v = Violations::default();
            let team = v.id("team_id", &request.team_id);
            let id = v.id::<RoleId>("role_id", &request.role_id);
            let (team, id) = v.all((team, id))?;
            let found = self.0.queries.role(cx, team, &id, &fresh).await?;
            Ok(wire::GetRoleResponse { role: Some(role::message(&found)) })
        })
        .await
    }

    async fn list_roles(
        &self,
        request: Request<wire::ListRolesRequest>,
    ) -> Result<Response<wire::ListRolesResponse>, Status> {
        serve(request, async |cx, mut request| {
            let fresh = self.0.consistency(request.consistency.take().as_ref())?;
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            let team = v.id("team_id", &request.team_id);
            let (team,) = v.all((team,))?;
            let pages = Pages::new(&self.0.keys, "ListRoles");
            let token = std::mem::take(&mut request.page_token);
            let after: Option<RoleId> = pages.open(&request, &token)?;
            let roles = self.0.queries.roles(cx, team, &fresh).await?;
            // A role that was taken out of the configuration since the page before ends the list.
            let begun = after.as_ref().map_or(0, |last| roles.iter().take_while(|role| role.id != *last).count() + 1);
            let rest = roles.iter().skip(begun).collect();
            let (found, next_page_token) = pages.cut(&request, rest, size, |role| role.id.clone());
            Ok(wire::ListRolesResponse { roles: found.into_iter().map(role::message).collect(), next_page_token })
        })
        .await
    }
}
