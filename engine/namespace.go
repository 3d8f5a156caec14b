package engine

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"waybill/workflows"
)

// CheckNamespace returns an error when the namespace lacks a search attribute or has it with another type, as an earlier
// version registered it. Workflow tasks would then fail forever. When the server does not list them, CheckNamespace returns
// nil.
func (c *Client) CheckNamespace(ctx context.Context) error {
	listed, err := c.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: c.opts.Namespace})
	if err != nil {
		c.log.Debug("the search attributes cannot be listed", "namespace", c.opts.Namespace, "error", err)
		return nil
	}
	for _, needed := range workflows.SearchAttributes() {
		got, ok := listed.GetCustomAttributes()[needed.GetName()]
		if !ok {
			return fmt.Errorf("the namespace %s lacks the search attribute %s (%s): run scripts/stack/temporal/setup-namespace.sh %s",
				c.opts.Namespace, needed.GetName(), needed.GetValueType(), c.opts.Namespace)
		}
		if got != needed.GetValueType() && got != enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
			return fmt.Errorf("the search attribute %s of the namespace %s is of the type %s, not %s: stop the old processes and run scripts/stack/temporal/setup-namespace.sh %s",
				needed.GetName(), c.opts.Namespace, got, needed.GetValueType(), c.opts.Namespace)
		}
	}
	return nil
}
