package dashboard

// confirmation asks before an act, and says what the act will do. Without JavaScript it is a page of its own; with it a link that has the
// attribute data-dialog shows it in a dialog.
type confirmation struct {
	Title string
	// Effects say what will happen, with numbers: "312 deliveries are canceled."
	Effects []string
	Fields  []confirmField
	// Button names the act. Danger says that it cannot be undone.
	Button string
	Danger bool
	// Action is where the form goes, and Back where the person came from.
	Action, Back string
	// Problem is why it was refused, and See a page that tells more of that; "": there is none.
	Problem *problem
	See     string
}

// confirmField is something to fill in. Kind is "hidden", "checkbox" or a type of an input.
type confirmField struct {
	Kind, Name, Value, Label, Hint, Placeholder string
	Required                                    bool
}

// confirm shows the question.
func (c *call) confirm(section string, q confirmation) error {
	return c.show("confirm", view{Title: q.Title, Section: section, Status: q.Problem.status(), Data: q})
}
