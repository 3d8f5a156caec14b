// Package dashboard serves the pages for people: operators, who sign in with an API key, and a tenant's own people, who come by a
// portal link. It is a client of the API in the same process and calls it with the rights of the session, so that rules, scopes,
// audit and errors are written once, in package api. What a page shows is in templates/, what it looks like in assets/style.css, and
// pages work without JavaScript for reading.
package dashboard
