//! `RoleService`.

use roster_proto::v1::{self as wire, role_service_server::RoleService};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Api, serve},
    convert::{self, Violations, role},
    page::Pages,
};
use crate::{
    application::{
        Queries,
        context::Etag,
        roles::{CreateRole, DeleteRole, UpdateRole},
    },
    domain::{
        Role, RoleId, permission,
        text::{Description, RoleName},
    },
};

/// Serves roles.
#[derive(Debug, Clone)]
pub struct RolesOfTeams(pub Api);

#[async_trait]
impl RoleService for RolesOfTeams {
    async fn create_role(
        &self,
        request: Request<wire::CreateRoleRequest>,
    ) -> Result<Response<wire::CreateRoleResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.role.unwrap_or_default();
            let team = v.id("role.team_id", &message.team_id);
            let key = v.id("role.key", &message.key);
            let name = v.field("role.name", RoleName::parse(&message.name));
            let description = v.field("role.description", Description::parse(&message.description));
            let permissions = role::patterns(&mut v, "role.permissions", &message.permissions, role::MAX_PERMISSIONS);
            let (team, key, name, description, permissions) = v.all((team, key, name, description, permissions))?;
            let reaches_descendants = message.reaches_descendants;
            let command = CreateRole { team, key, name, description, permissions, reaches_descendants };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::CreateRoleResponse {
                role: Some(role::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn get_role(
        &self,
        request: Request<wire::GetRoleRequest>,
    ) -> Result<Response<wire::GetRoleResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.as_ref());
            let team = v.id("team_id", &request.team_id);
            let id = v.id::<RoleId>("role_id", &request.role_id);
            let (team, id, fresh) = v.all((team, id, fresh))?;
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
            let mut v = Violations::default();
            let fresh = self.0.consistency(&mut v, request.consistency.take().as_ref());
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            let team = v.id("team_id", &request.team_id);
            let (team, fresh) = v.all((team, fresh))?;
            let pages = Pages::new(&self.0.keys, "ListRoles");
            let token = std::mem::take(&mut request.page_token);
            let after: Option<RoleId> = pages.open(&request, &token)?;
            let roles = self.0.queries.roles(cx, team, &fresh).await?;
            let rest: Vec<&Role> = match &after {
                None => roles.iter().collect(),
                Some(last) => roles.after(last).collect(),
            };
            let (found, next_page_token) = pages.cut(&request, rest, size, |role| role.id.clone());
            Ok(wire::ListRolesResponse { roles: found.into_iter().map(role::message).collect(), next_page_token })
        })
        .await
    }

    async fn update_role(
        &self,
        request: Request<wire::UpdateRoleRequest>,
    ) -> Result<Response<wire::UpdateRoleResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let message = request.role.unwrap_or_default();
            let team = v.id("role.team_id", &message.team_id);
            let id = v.id::<RoleId>("role.id", &message.id);
            let patch = role::patch(&mut v, request.update_mask.as_ref(), &message);
            let (team, role) = v.all((team, id))?;
            let command = UpdateRole { team, role, patch, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::UpdateRoleResponse {
                role: Some(role::message(&written.answer)),
                revision: self.0.revision(&written),
            })
        })
        .await
    }

    async fn delete_role(
        &self,
        request: Request<wire::DeleteRoleRequest>,
    ) -> Result<Response<wire::DeleteRoleResponse>, Status> {
        serve(request, async |cx, request| {
            let mut v = Violations::default();
            let options = convert::write_options(&mut v, &request.request_id, request.validate_only);
            let team = v.id("team_id", &request.team_id);
            let role = v.id::<RoleId>("role_id", &request.role_id);
            let replacement = v.optional_id("replacement_role_id", &request.replacement_role_id);
            let (team, role, replacement) = v.all((team, role, replacement))?;
            let command = DeleteRole { team, role, replacement, etag: Etag::parse(&request.etag) };
            let written = self.0.store.write(cx, options, command).await?;
            Ok(wire::DeleteRoleResponse { revision: self.0.revision(&written) })
        })
        .await
    }

    async fn list_permissions(
        &self,
        request: Request<wire::ListPermissionsRequest>,
    ) -> Result<Response<wire::ListPermissionsResponse>, Status> {
        serve(request, async |cx, mut request| {
            Queries::check_permissions(cx)?;
            let mut v = Violations::default();
            let size = convert::page_size(&mut v, std::mem::take(&mut request.page_size));
            v.all(())?;
            let pages = Pages::new(&self.0.keys, "ListPermissions");
            let token = std::mem::take(&mut request.page_token);
            let after: Option<String> = pages.open(&request, &token)?;
            let mut rest: Vec<_> = permission::ALL.to_vec();
            rest.sort_unstable();
            rest.retain(|(name, _)| after.as_deref().is_none_or(|after| *name > after));
            let (found, next_page_token) = pages.cut(&request, rest, size, |(name, _)| (*name).to_owned());
            Ok(wire::ListPermissionsResponse {
                permissions: found.iter().map(role::permission).collect(),
                next_page_token,
            })
        })
        .await
    }
}
