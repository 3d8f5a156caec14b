package activities

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// EraseTime is how long one EraseTenant begins pages.
const EraseTime = time.Minute

// erasePage is how many rows one page deletes, besides what belongs to them.
const erasePage = 1000

// EraseTenantInput names a tenant that is being erased.
type EraseTenantInput struct {
	Tenant string `json:"tenant"`
}

// EraseTenantResult is what one EraseTenant did.
type EraseTenantResult struct {
	Deleted int64 `json:"deleted"`
	// Done says that nothing is left, and Wait after how long to look again for what was under way.
	Done bool          `json:"done,omitempty"`
	Wait time.Duration `json:"wait,omitempty"`
}

// Erasures is what EraseTenant needs of store.Erasures.
type Erasures interface {
	EraseTenantStep(ctx context.Context, tenant string, limit int) (store.ErasureStep, error)
	TenantErasure(ctx context.Context, tenant string) (*store.Erasure, error)
}

// EraseTenant deletes rows of a tenant for EraseTime at most, and at the end its running workflows. A tenant that is not being erased
// counts as done.
func (a *Activities) EraseTenant(ctx context.Context, in EraseTenantInput) (*EraseTenantResult, error) {
	defer a.beat(ctx, nil)()
	out := new(EraseTenantResult)
	for end := a.now().Add(EraseTime); a.now().Before(end); {
		step, err := a.erasures.EraseTenantStep(ctx, in.Tenant, erasePage)
		if webhook.ErrorCode(err) == webhook.CodeNotFound {
			step.Done, err = true, nil
		}
		if err != nil {
			return nil, a.translate(ctx, "erase a tenant", err)
		}
		out.Deleted += step.Deleted
		if step.Done {
			out.Done = true
			return out, a.translate(ctx, "end the workflows of an erased tenant", a.endErased(ctx, in.Tenant))
		}
		if step.Wait > 0 {
			out.Wait = step.Wait
			return out, nil
		}
	}
	return out, nil
}

// endErased ends the workflows of a tenant that was erased. Its id is free from now on, so those that began after everybody knew of the
// erasure are another tenant's. Erasures last longer than that, by more than clocks differ.
func (a *Activities) endErased(ctx context.Context, tenant string) error {
	e, err := a.erasures.TenantErasure(ctx, tenant)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return a.engine.EndWorkflowsOf(ctx, tenant, e.StartedAt.Add(webhook.MaxTimeout))
}
