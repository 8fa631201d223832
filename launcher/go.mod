module rustdesk-launcher

go 1.27
