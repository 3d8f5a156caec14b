package schemas

import (
	"embed"
	"io/fs"
)

//go:embed dialects/*.json
var dialects embed.FS

// Operational is the catalogue of the operational events: a list of webhook.EventType.
//
//go:embed operational.json
var Operational []byte

//go:embed migrations/*.sql
var migrations embed.FS

// Dialects is the folder of the dialects that come with Waybill: one file each, "rheo.json" and so on.
func Dialects() fs.FS { return below(dialects, "dialects") }

// Migrations is the folder of the SQL migrations: "00001_create_....sql" and so on, to be applied in this order.
func Migrations() fs.FS { return below(migrations, "migrations") }

func below(files embed.FS, folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return sub
}
